#include <memory>

#include "tidewheel/cli/commands/model_commands.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"

namespace tidewheel::cli {
namespace {

namespace v1 = model_registry::v1;
using Stub = v1::ModelRegistryService::Stub;

struct ReviewOptions {
  std::string model;
  std::string role;
  std::string signer;
  bool refuse = false;
  std::string reason;
  std::uint64_t limit = 1;
};

std::string VerdictText(v1::GateVerdict verdict) {
  return LowerEnum(v1::GateVerdict_Name(verdict), "GATE_VERDICT_");
}

template <typename Roles>
void PrintMissing(const Roles& roles) {
  if (roles.empty()) return;
  std::string text;
  for (const auto& role : roles) text += (text.empty() ? "" : ", ") + role;
  Print("still to sign: " + text + "\n");
}

Result<ExitStatus> Sign(CommandLine& line, const ReviewOptions& options) {
  const auto model = FindModelVersion(line, options.model);
  if (!model) return model.error();
  v1::SignOffRequest request;
  request.set_model_version_id(model->model_version_id());
  request.set_role(options.role);
  request.set_actor(options.signer.empty() ? line.actor() : options.signer);
  request.set_approved(!options.refuse);
  request.set_reason(options.reason);
  const auto answer = line.platform().Call(&Stub::SignOff, request);
  if (!answer) return answer.error();
  if (line.json()) {
    Print(ToJson(*answer));
    return ExitStatus::kOk;
  }
  const auto& record = answer->record();
  Print(TitleOf(*model) + ": " + (record.approved() ? "signed" : "refused") + " by " +
        record.actor() + " for role " + record.role() + "\n");
  PrintMissing(answer->missing_roles());
  return ExitStatus::kOk;
}

Result<ExitStatus> Signatures(CommandLine& line, const ReviewOptions& options) {
  const auto model = FindModelVersion(line, options.model);
  if (!model) return model.error();
  v1::ListSignOffsRequest request;
  request.set_model_version_id(model->model_version_id());
  const auto answer = line.platform().Call(&Stub::ListSignOffs, request);
  if (!answer) return answer.error();
  if (line.json()) {
    Print(ToJson(*answer));
    return ExitStatus::kOk;
  }
  Table table({"ROLE", "ANSWER", "BY", "AT", "REASON"});
  for (const auto& record : answer->records()) {
    table.Add({record.role(), record.approved() ? "signed" : "refused", record.actor(),
               FormatTime(record.signed_at()), record.reason()});
  }
  Print(table.Text());
  PrintMissing(answer->missing_roles());
  return ExitStatus::kOk;
}

Result<ExitStatus> Gate(CommandLine& line, const ReviewOptions& options) {
  const auto model = FindModelVersion(line, options.model);
  if (!model) return model.error();
  v1::ListGateEvaluationsRequest request;
  request.set_model_version_id(model->model_version_id());
  const auto list = line.platform().CallList(&Stub::ListGateEvaluations, request, options.limit);
  if (!list) return list.error();
  const bool says_no = list->evaluations_size() > 0 &&
                       (list->evaluations(0).verdict() == v1::GATE_VERDICT_FAIL ||
                        list->evaluations(0).verdict() == v1::GATE_VERDICT_INCONCLUSIVE);
  const ExitStatus status = says_no ? ExitStatus::kPartly : ExitStatus::kOk;
  if (line.json()) {
    Print(ToJson(*list));
    return status;
  }
  if (list->evaluations_size() == 0) {
    Print(TitleOf(*model) + " has not been held against a serving model\n");
  }
  for (const auto& evaluation : list->evaluations()) {
    const auto& baseline = evaluation.baseline_model_version_id();
    Print(TitleOf(*model) + ": " + VerdictText(evaluation.verdict()) + " against " +
          (baseline.empty() ? "nothing" : baseline) + ", " + FormatTime(evaluation.evaluated_at()) +
          " by " + evaluation.actor() + "\n");
    Print(CriteriaTable(evaluation.criteria()).Text());
  }
  return status;
}

}  // namespace

Table CriteriaTable(const google::protobuf::RepeatedPtrField<v1::GateCriterion>& criteria) {
  Table table({"CRITERION", "VERDICT", ">DIFFERENCE", "INTERVAL", ">SAMPLES", ">P", "REASON"});
  for (const auto& criterion : criteria) {
    const bool interval = criterion.has_low() && criterion.has_high();
    table.Add(
        {criterion.name(), VerdictText(criterion.verdict()),
         criterion.has_difference() ? FormatNumber(criterion.difference()) : "-",
         interval ? FormatNumber(criterion.low()) + " to " + FormatNumber(criterion.high()) : "-",
         criterion.samples() > 0 ? FormatCount(criterion.samples()) : "-",
         criterion.has_p_value() ? FormatNumber(criterion.p_value()) : "-", criterion.reason()});
  }
  return table;
}

Result<ExitStatus> RefusedByGate(const Error& error) {
  if (error.code != ErrorCode::kFailedPrecondition) return error;
  Remark("FAILED_PRECONDITION: " + error.message);
  return ExitStatus::kPartly;
}

void AddReviewCommands(CommandLine& line, CLI::App* models) {
  const auto sign = std::make_shared<ReviewOptions>();
  auto* command = line.AddCommand(models, "sign", "Sign a model version for a role of its task");
  command->add_option("MODEL_VERSION", sign->model, "Id or TASK@VERSION")->required();
  command->add_option("--role", sign->role, "One of the task's cycle.sign_off_roles")->required();
  command->add_option("--as", sign->signer, "Who signs (default: --actor)");
  command->add_flag("--refuse", sign->refuse, "Refuse: the version gets no traffic");
  command->add_option("--reason", sign->reason, "Why; needed to refuse");
  line.OnRun(command, [&line, sign] { return Sign(line, *sign); });

  const auto signatures = std::make_shared<ReviewOptions>();
  command = line.AddCommand(models, "signatures", "Show who has signed and who has not");
  command->add_option("MODEL_VERSION", signatures->model, "Id or TASK@VERSION")->required();
  line.OnRun(command, [&line, signatures] { return Signatures(line, *signatures); });

  const auto gate = std::make_shared<ReviewOptions>();
  command = line.AddCommand(models, "gate",
                            "Show a candidate beside the serving model (3: the newest says no)");
  command->add_option("MODEL_VERSION", gate->model, "Id or TASK@VERSION")->required();
  command->add_option("--limit", gate->limit, "How many evaluations at most, newest first; 0: all")
      ->capture_default_str();
  line.OnRun(command, [&line, gate] { return Gate(line, *gate); });
}

}  // namespace tidewheel::cli
