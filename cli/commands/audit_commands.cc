#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <map>
#include <memory>

#include "tidewheel/cli/commands/command.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"

namespace tidewheel::cli {
namespace {

namespace v1 = model_registry::v1;
using Stub = v1::ModelRegistryService::Stub;

struct AuditOptions {
  std::string subject;
  std::uint64_t limit = 100;
};

/// "name: value" of each, whole: reasons that people gave are what the log is read for.
std::vector<std::string> DetailsOf(const std::string& json) {
  google::protobuf::Struct details;
  if (!google::protobuf::util::JsonStringToMessage(json, &details).ok()) return {json};
  std::map<std::string, std::string> sorted;
  for (const auto& [name, value] : details.fields()) {
    if (!value.has_string_value()) return {json};
    sorted[name] = value.string_value();
  }
  std::vector<std::string> lines;
  for (const auto& [name, value] : sorted) lines.push_back(name + ": " + value);
  return lines;
}

Result<ExitStatus> List(CommandLine& line, const AuditOptions& options) {
  v1::ListAuditEntriesRequest request;
  request.set_subject(options.subject);
  const auto list = line.platform().CallList(&Stub::ListAuditEntries, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table({">NUMBER", "AT", "ACTOR", "ACTION", "SUBJECT", "HASH"});
  for (const auto& entry : list->entries()) {
    table.Add({std::to_string(entry.number()), FormatTime(entry.at()), entry.actor(),
               entry.action(), entry.subject(), entry.hash().substr(0, 12)});
    for (const auto& detail : DetailsOf(entry.details())) table.Note(detail);
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

Result<ExitStatus> Verify(CommandLine& line) {
  const auto verified =
      line.platform().Call(&Stub::VerifyAuditChain, v1::VerifyAuditChainRequest());
  if (!verified) return verified.error();
  if (line.json()) Print(ToJson(*verified));
  if (verified->intact()) {
    if (!line.json()) Print("intact: " + FormatCount(verified->entries()) + " entries\n");
    return ExitStatus::kOk;
  }
  return Error{ErrorCode::kDataLoss, "the audit chain is broken at entry " +
                                         std::to_string(verified->first_broken_number()) + ": " +
                                         verified->problem()};
}

}  // namespace

void AddAuditCommands(CommandLine& line) {
  auto* group = line.AddGroup("audit", "The audit log");
  const auto options = std::make_shared<AuditOptions>();
  auto* command = line.AddCommand(group, "list", "List entries, newest first");
  command->add_option("--subject", options->subject, "Only of this subject");
  AddLimit(command, &options->limit);
  line.OnRun(command, [&line, options] { return List(line, *options); });

  command = line.AddCommand(group, "verify", "Recompute every hash (1: the chain is broken)");
  line.OnRun(command, [&line] { return Verify(line); });
}

}  // namespace tidewheel::cli
