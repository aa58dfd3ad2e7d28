#include <fstream>
#include <memory>

#include "tidewheel/cli/commands/command.h"
#include "tidewheel/cli/readers/text_rules.h"
#include "tidewheel/ingestion/v1/ingestion_service.grpc.pb.h"

namespace tidewheel::cli {
namespace {

namespace v1 = ingestion::v1;
using Stub = v1::IngestionService::Stub;

struct ListOptions {
  std::string task;
  std::string split;
  std::string source;
  std::string name;
  std::string reason;
  std::string request;
  bool deactivated = false;
  std::uint64_t limit = 100;
};

struct SampleOptions {
  std::string id;
  std::string reason;
  std::string payload_file;
};

std::string SplitName(v1::Split split) { return LowerEnum(v1::Split_Name(split), "SPLIT_"); }

// "near_duplicate", as in GetSampleCounts and the push report.
std::string ReasonName(v1::ReasonCode code) {
  std::string name = LowerEnum(v1::ReasonCode_Name(code), "REASON_CODE_");
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

std::string UpperCase(std::string text) {
  for (char& c : text) {
    c = c == '-' || c == ' ' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return text;
}

Result<ExitStatus> ListSamples(CommandLine& line, const ListOptions& options) {
  v1::ListSamplesRequest request;
  request.set_task(options.task);
  request.set_source(options.source);
  request.set_name(options.name);
  request.set_request_id(options.request);
  request.set_include_deactivated(options.deactivated);
  if (!options.split.empty()) {
    v1::Split split = v1::SPLIT_UNSPECIFIED;
    v1::Split_Parse("SPLIT_" + UpperCase(options.split), &split);
    request.set_split(split);
  }
  const auto list = line.platform().CallList(&Stub::ListSamples, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table({"SAMPLE", "NAME", "SPLIT", ">SIZE", ">PIXELS", "SOURCE", "ADDED"});
  for (const auto& sample : list->samples()) {
    table.Add({sample.sample_id(), sample.name(),
               SplitName(sample.split()) + (sample.has_deactivated_at() ? " (inactive)" : ""),
               FormatBytes(sample.size_bytes()),
               std::to_string(sample.width()) + "x" + std::to_string(sample.height()),
               sample.source(), FormatTime(sample.added_at())});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

Result<ExitStatus> CountSamples(CommandLine& line, const std::string& task) {
  v1::GetSampleCountsRequest request;
  request.set_task(task);
  const auto counts = line.platform().Call(&Stub::GetSampleCounts, request);
  if (!counts) return counts.error();
  if (line.json()) {
    Print(ToJson(*counts));
    return ExitStatus::kOk;
  }
  Table table({"WHAT", ">SAMPLES"});
  table.Add({"active", FormatCount(counts->active())});
  for (const char* split : {"training", "validation", "test"}) {
    const auto found = counts->by_split().find(split);
    if (found != counts->by_split().end()) {
      table.Add({std::string("  ") + split, FormatCount(found->second)});
    }
  }
  table.Add({"deactivated", FormatCount(counts->deactivated())});
  table.Add({"quarantined", FormatCount(counts->quarantined())});
  const std::map<std::string, std::uint64_t> by_reason(counts->quarantined_by_reason().begin(),
                                                       counts->quarantined_by_reason().end());
  for (const auto& [reason, count] : by_reason) table.Add({"  " + reason, FormatCount(count)});
  Print(table.Text());
  return ExitStatus::kOk;
}

Result<ExitStatus> ListQuarantine(CommandLine& line, const ListOptions& options) {
  v1::ListQuarantineRequest request;
  request.set_task(options.task);
  if (!options.reason.empty()) {
    v1::ReasonCode reason = v1::REASON_CODE_UNSPECIFIED;
    if (!v1::ReasonCode_Parse("REASON_CODE_" + UpperCase(options.reason), &reason)) {
      std::string known;
      for (int code = 1; v1::ReasonCode_IsValid(code); ++code) {
        known += (known.empty() ? "" : ", ") + ReasonName(static_cast<v1::ReasonCode>(code));
      }
      return Error{ErrorCode::kInvalidArgument,
                   "--reason " + options.reason + ": must be one of " + known};
    }
    request.set_reason(reason);
  }
  const auto list = line.platform().CallList(&Stub::ListQuarantine, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table({"NAME", ">SIZE", "SET ASIDE", "REASON", "MESSAGE"});
  for (const auto& sample : list->samples()) {
    std::string reasons;
    std::string messages;
    for (const auto& reason : sample.reasons()) {
      reasons += (reasons.empty() ? "" : ", ") + ReasonName(reason.code());
      messages += (messages.empty() ? "" : "; ") + reason.message();
    }
    table.Add({sample.name(), FormatBytes(sample.size_bytes()), FormatTime(sample.quarantined_at()),
               reasons, messages});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

void PrintSample(CommandLine& line, const google::protobuf::Message& response,
                 const v1::Sample& sample) {
  if (line.json()) {
    Print(ToJson(response));
    return;
  }
  Table table({"FIELD", "VALUE"});
  table.Add({"sample", sample.sample_id()});
  table.Add({"task", sample.task()});
  table.Add({"name", sample.name()});
  table.Add({"sha256", sample.sha256()});
  table.Add({"source", sample.source()});
  if (!sample.request_id().empty()) {
    table.Add({"request", sample.request_id() + "#" + std::to_string(sample.request_index())});
  }
  table.Add({"split", SplitName(sample.split())});
  table.Add({"group", sample.group()});
  table.Add({"pixels", std::to_string(sample.width()) + "x" + std::to_string(sample.height())});
  table.Add({"size", FormatBytes(sample.size_bytes())});
  table.Add({"collected", FormatTime(sample.collected_at())});
  table.Add({"added", FormatTime(sample.added_at())});
  if (sample.has_deactivated_at()) table.Add({"deactivated", FormatTime(sample.deactivated_at())});
  const std::map<std::string, std::string> metadata(sample.metadata().begin(),
                                                    sample.metadata().end());
  for (const auto& [key, value] : metadata) table.Add({"metadata " + key, value});
  const std::map<std::string, double> measures(sample.measures().begin(), sample.measures().end());
  for (const auto& [key, value] : measures) table.Add({"measure " + key, FormatNumber(value)});
  Print(table.Text());
}

Result<ExitStatus> GetSample(CommandLine& line, const SampleOptions& options) {
  v1::GetSampleRequest request;
  request.set_sample_id(options.id);
  const auto sample = line.platform().Call(&Stub::GetSample, request);
  if (!sample) return sample.error();
  if (!options.payload_file.empty()) {
    v1::GetSamplePayloadRequest payload_request;
    payload_request.set_sample_id(options.id);
    const auto payload = line.platform().Call(&Stub::GetSamplePayload, payload_request);
    if (!payload) return payload.error();
    std::ofstream file(options.payload_file, std::ios::binary | std::ios::trunc);
    file << payload->payload();
    file.close();
    if (!file) {
      return Error{ErrorCode::kPermissionDenied, options.payload_file + ": cannot be written"};
    }
  }
  PrintSample(line, *sample, sample->sample());
  return ExitStatus::kOk;
}

Result<ExitStatus> DeactivateSample(CommandLine& line, const SampleOptions& options) {
  v1::DeactivateSampleRequest request;
  request.set_sample_id(options.id);
  request.set_reason(options.reason);
  const auto sample = line.platform().Call(&Stub::DeactivateSample, request);
  if (!sample) return sample.error();
  PrintSample(line, *sample, sample->sample());
  return ExitStatus::kOk;
}

}  // namespace

void AddSampleCommands(CommandLine& line) {
  const auto list = std::make_shared<ListOptions>();
  auto* command = line.AddCommand(&line.app(), "samples", "List a task's samples");
  AddTask(command, &list->task);
  command->add_option("--split", list->split, "training, validation or test")
      ->check(CLI::IsMember({"training", "validation", "test"}));
  command->add_option("--source", list->source, "Only from this source");
  command->add_option("--name", list->name, "Only the one pushed under this name");
  command->add_option("--request", list->request,
                      "Only what was captured for this prediction, or stands for it");
  command->add_flag("--deactivated", list->deactivated, "Also those that were taken out");
  AddLimit(command, &list->limit);
  line.OnRun(command, [&line, list] { return ListSamples(line, *list); });

  const auto quarantine = std::make_shared<ListOptions>();
  command = line.AddCommand(&line.app(), "quarantine", "List what was set aside, and why");
  AddTask(command, &quarantine->task);
  command->add_option("--reason", quarantine->reason, "Such as blurred or near_duplicate");
  AddLimit(command, &quarantine->limit);
  line.OnRun(command, [&line, quarantine] { return ListQuarantine(line, *quarantine); });

  auto* group = line.AddGroup("sample", "One sample, or how many there are");
  const auto get = std::make_shared<SampleOptions>();
  command = line.AddCommand(group, "get", "Show a sample");
  command->add_option("SAMPLE", get->id, "The sample's id")->required();
  command->add_option("--payload", get->payload_file, "Write its payload to this file");
  line.OnRun(command, [&line, get] { return GetSample(line, *get); });

  const auto deactivate = std::make_shared<SampleOptions>();
  command = line.AddCommand(group, "deactivate", "Take a sample out of future dataset versions");
  command->add_option("SAMPLE", deactivate->id, "The sample's id")->required();
  command->add_option("--reason", deactivate->reason, "Why")->required();
  line.OnRun(command, [&line, deactivate] { return DeactivateSample(line, *deactivate); });

  const auto counts = std::make_shared<std::string>();
  command = line.AddCommand(group, "counts", "Count a task's samples by split and by reason");
  AddTask(command, counts.get());
  line.OnRun(command, [&line, counts] { return CountSamples(line, *counts); });
}

}  // namespace tidewheel::cli
