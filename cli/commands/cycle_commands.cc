#include <algorithm>
#include <cctype>
#include <map>
#include <memory>
#include <thread>

#include "tidewheel/base/ids.h"
#include "tidewheel/cli/commands/command.h"
#include "tidewheel/cli/commands/model_commands.h"
#include "tidewheel/training/v1/cycle_service.grpc.pb.h"

namespace tidewheel::cli {
namespace {

namespace v1 = training::v1;
using Stub = v1::CycleService::Stub;

struct CycleOptions {
  std::string task;
  std::string state;
  std::string cycle;
  std::string reason;
  std::string request_id;
  std::string candidate;
  std::string override_reason;
  bool labels_at_hand = false;
  bool wait = false;
  double retry_seconds = 60;
  std::uint64_t limit = 20;
};

std::string StateName(v1::CycleState state) {
  return LowerEnum(v1::CycleState_Name(state), "CYCLE_STATE_");
}

bool HasEnded(const v1::Cycle& cycle) { return cycle.state() >= v1::CYCLE_STATE_PROMOTED; }

std::string Interval(const v1::Cycle& cycle) {
  if (!cycle.has_gain()) return "-";
  std::string text = FormatNumber(cycle.gain(), 3);
  if (cycle.has_gain_low() && cycle.has_gain_high()) {
    text += " (" + FormatNumber(cycle.gain_low(), 3) + " to " + FormatNumber(cycle.gain_high(), 3) +
            ")";
  }
  return text;
}

std::string Trigger(const v1::Cycle& cycle) {
  return cycle.alert_cause().empty() ? cycle.trigger()
                                     : cycle.trigger() + ": " + cycle.alert_cause();
}

std::string Listed(const google::protobuf::Map<std::string, std::string>& details) {
  const std::map<std::string, std::string> sorted(details.begin(), details.end());
  std::string text;
  for (const auto& [name, value] : sorted) text += (text.empty() ? "" : ", ") + name + " " + value;
  return text;
}

void AddIf(Table* table, const std::string& name, const std::string& value) {
  if (!value.empty()) table->Add({name, value});
}

void PrintCycle(const v1::Cycle& cycle) {
  Print("cycle " + cycle.cycle_id() + "  " + StateName(cycle.state()) +
        (cycle.paused() ? " (paused)" : "") + "\n");
  if (!cycle.reason().empty()) Print("  " + cycle.reason() + "\n");
  Table facts({"FIELD", "VALUE"});
  facts.Add({"task", cycle.task()});
  facts.Add({"trigger", Trigger(cycle)});
  AddIf(&facts, "alert", cycle.alert_id());
  AddIf(&facts, "started by", cycle.actor());
  facts.Add({"started", FormatTime(cycle.started_at())});
  if (cycle.has_ended_at()) facts.Add({"ended", FormatTime(cycle.ended_at())});
  AddIf(&facts, "baseline", cycle.baseline_model_version_id());
  AddIf(&facts, "previous dataset", cycle.previous_dataset_version_id());
  AddIf(&facts, "batch", cycle.batch_id());
  AddIf(&facts, "dataset", cycle.dataset_version_id());
  AddIf(&facts, "run", cycle.run_id());
  AddIf(&facts, "candidate", cycle.candidate_model_version_id());
  if (cycle.has_gain()) facts.Add({"gain on the new condition", Interval(cycle)});
  facts.Add({"labels", FormatCount(cycle.cost().labels())});
  facts.Add({"CPU time", FormatNumber(cycle.cost().cpu_seconds(), 1) + " s"});
  facts.Add({"wall time", FormatNumber(cycle.cost().wall_seconds(), 1) + " s"});
  if (cycle.harmed_requests() > 0) {
    facts.Add({"harmed requests", FormatCount(cycle.harmed_requests())});
  }
  if (cycle.state() == v1::CYCLE_STATE_FAILED) {
    facts.Add({"failed in", StateName(cycle.failed_in())});
  }
  Print(facts.Text());
  if (cycle.acquired_size() > 0) {
    const std::map<std::string, std::uint32_t> acquired(cycle.acquired().begin(),
                                                        cycle.acquired().end());
    Table samples({"CHOSEN AS", ">SAMPLES"});
    for (const auto& [reason, count] : acquired) samples.Add({reason, FormatCount(count)});
    Print("\n" + samples.Text());
  }
  if (cycle.criteria_size() > 0) {
    Table gate({"CRITERION", "VERDICT", ">DIFFERENCE", ">LOW", ">HIGH", ">SAMPLES", "WHY"});
    const auto number = [](bool is_set, double value) {
      return is_set ? FormatNumber(value, 4) : std::string("-");
    };
    for (const auto& criterion : cycle.criteria()) {
      gate.Add(
          {criterion.name(),
           LowerEnum(model_registry::v1::GateVerdict_Name(criterion.verdict()), "GATE_VERDICT_"),
           number(criterion.has_difference(), criterion.difference()),
           number(criterion.has_low(), criterion.low()),
           number(criterion.has_high(), criterion.high()), FormatCount(criterion.samples()),
           criterion.reason()});
    }
    Print("\n" + gate.Text());
  }
  if (cycle.decisions_size() > 0) {
    Table decisions({"DECIDED", "OUTCOME", "BY", "IN WORDS"});
    for (const auto& decision : cycle.decisions()) {
      decisions.Add({FormatTime(decision.decided_at()), decision.outcome(), decision.actor(),
                     decision.reason()});
    }
    Print("\n" + decisions.Text());
  }
  if (cycle.steps_size() > 0) {
    Table steps({"STEP", "ENTERED", ">SECONDS", "RESULT", "DETAILS"});
    for (const auto& step : cycle.steps()) {
      const double seconds =
          step.has_left_at()
              ? static_cast<double>(step.left_at().seconds() - step.entered_at().seconds()) +
                    1e-9 * static_cast<double>(step.left_at().nanos() - step.entered_at().nanos())
              : 0;
      steps.Add({StateName(step.state()), FormatTime(step.entered_at()),
                 step.has_left_at() ? FormatNumber(seconds, 1) : "...", step.result(),
                 Listed(step.details())});
    }
    Print("\n" + steps.Text());
  }
}

ExitStatus StatusOf(const v1::Cycle& cycle) {
  return !HasEnded(cycle) || cycle.state() == v1::CYCLE_STATE_PROMOTED ? ExitStatus::kOk
                                                                       : ExitStatus::kFailed;
}

void Show(CommandLine& line, const v1::Cycle& cycle) {
  if (line.json()) {
    Print(ToJson(cycle));
  } else {
    PrintCycle(cycle);
  }
}

// Follows a cycle to its end, a line for each change. The stream has no deadline; when it breaks
// (training restarts), a new one is opened for up to `retry_for` without an answer.
Result<v1::Cycle> Follow(CommandLine& line, const std::string& id, double retry_seconds) {
  const auto channel = line.platform().PlainChannelTo("training");
  if (!channel) return channel.error();
  Stub stub(*channel);
  v1::WatchCycleRequest request;
  request.set_cycle_id(id);
  std::string told;
  auto last_answer = std::chrono::steady_clock::now();
  while (true) {
    grpc::ClientContext context;
    const auto stream = stub.WatchCycle(&context, request);
    v1::WatchCycleResponse response;
    while (stream->Read(&response)) {
      last_answer = std::chrono::steady_clock::now();
      const auto& cycle = response.cycle();
      const std::string news = StateName(cycle.state()) + (cycle.paused() ? " (paused)" : "") +
                               (cycle.reason().empty() ? "" : ": " + cycle.reason());
      if (news != told) Remark(news);
      told = news;
      if (!HasEnded(cycle)) continue;
      context.TryCancel();
      return std::move(*response.mutable_cycle());
    }
    const auto ended = rpc::FromGrpcStatus(stream->Finish(), "training");
    const bool may_pass =
        ended || IsTransient(ended.error().code) || ended.error().code == ErrorCode::kCancelled;
    if (!may_pass) return ended.error();
    if (std::chrono::steady_clock::now() - last_answer >
        std::chrono::duration<double>(retry_seconds)) {
      return ended ? Error{ErrorCode::kUnavailable,
                           "training: the stream of cycle " + id + " ends before the cycle does"}
                   : ended.error();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
  }
}

Result<ExitStatus> Watch(CommandLine& line, const CycleOptions& options) {
  const auto cycle = Follow(line, options.cycle, options.retry_seconds);
  if (!cycle) return cycle.error();
  Show(line, *cycle);
  return StatusOf(*cycle);
}

Result<ExitStatus> Start(CommandLine& line, const CycleOptions& options) {
  v1::StartCycleRequest request;
  request.set_request_id(options.request_id.empty() ? NewUuid() : options.request_id);
  request.set_task(options.task);
  request.set_actor(line.actor());
  request.set_reason(options.reason);
  request.set_with_labels_at_hand(options.labels_at_hand);
  if (!options.candidate.empty()) {
    const auto candidate = FindModelVersion(line, options.candidate);
    if (!candidate) return candidate.error();
    request.set_candidate_model_version_id(candidate->model_version_id());
  }
  request.set_override_reason(options.override_reason);
  const auto started = line.platform().Call(&Stub::StartCycle, request);
  if (!started) return started.error();
  if (!options.wait) {
    if (line.json()) {
      Print(ToJson(started->cycle()));
    } else {
      Print("cycle " + started->cycle().cycle_id() + "  " + StateName(started->cycle().state()) +
            (started->created() ? "" : "  (was there)") + "\n");
    }
    return ExitStatus::kOk;
  }
  CycleOptions watched = options;
  watched.cycle = started->cycle().cycle_id();
  return Watch(line, watched);
}

Result<ExitStatus> List(CommandLine& line, const CycleOptions& options) {
  v1::ListCyclesRequest request;
  request.set_task(options.task);
  if (!options.state.empty()) {
    std::string name = "CYCLE_STATE_" + options.state;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
      return c == '-' ? '_' : static_cast<char>(std::toupper(c));
    });
    v1::CycleState state = v1::CYCLE_STATE_UNSPECIFIED;
    if (!v1::CycleState_Parse(name, &state)) {
      return Error{ErrorCode::kInvalidArgument, "a cycle is never " + options.state};
    }
    request.set_state(state);
  }
  const auto list = line.platform().CallList(&Stub::ListCycles, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table({"CYCLE", "TASK", "STATE", "TRIGGER", "STARTED", ">LABELS", ">CPU S", ">WALL S",
               "GAIN", "WHY"});
  for (const auto& cycle : list->cycles()) {
    table.Add({cycle.cycle_id(), cycle.task(),
               StateName(cycle.state()) + (cycle.paused() ? " (paused)" : ""), Trigger(cycle),
               FormatTime(cycle.started_at()), FormatCount(cycle.cost().labels()),
               FormatNumber(cycle.cost().cpu_seconds(), 1),
               FormatNumber(cycle.cost().wall_seconds(), 1), Interval(cycle), cycle.reason()});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

Result<ExitStatus> Get(CommandLine& line, const CycleOptions& options) {
  v1::GetCycleRequest request;
  request.set_cycle_id(options.cycle);
  const auto cycle = line.platform().Call(&Stub::GetCycle, request);
  if (!cycle) return cycle.error();
  Show(line, cycle->cycle());
  return ExitStatus::kOk;
}

// What changes a cycle: cancel, pause, resume, retry.
template <typename Request, typename Response>
Result<ExitStatus> Change(CommandLine& line, const CycleOptions& options,
                          grpc::Status (Stub::*rpc)(grpc::ClientContext*, const Request&,
                                                    Response*)) {
  Request request;
  request.set_cycle_id(options.cycle);
  request.set_actor(line.actor());
  if constexpr (requires { request.set_reason(""); }) request.set_reason(options.reason);
  const auto changed = line.platform().Call(rpc, request);
  if (!changed) return changed.error();
  const v1::Cycle& cycle = changed->cycle();
  if (line.json()) {
    Print(ToJson(cycle));
  } else {
    Print("cycle " + cycle.cycle_id() + "  " + StateName(cycle.state()) +
          (cycle.paused() ? " (paused)" : "") + "\n");
  }
  return ExitStatus::kOk;
}

Result<ExitStatus> ListDecisions(CommandLine& line, const CycleOptions& options) {
  v1::ListDecisionsRequest request;
  request.set_task(options.task);
  const auto list = line.platform().CallList(&Stub::ListDecisions, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table(
      {"DECIDED", "TASK", "TRIGGER", "ALERT", "OUTCOME", "BY", "BECAUSE", "IN WORDS", "CYCLE"});
  for (const auto& decision : list->decisions()) {
    table.Add({FormatTime(decision.decided_at()), decision.task(), decision.trigger(),
               decision.alert_id(), decision.outcome(), decision.actor(), decision.because(),
               decision.reason(), decision.cycle_id()});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

}  // namespace

void AddCycleCommands(CommandLine& line) {
  auto* group = line.AddGroup("cycle", "Turns of the loop: from an alert to a better model");
  const auto retry_for = [](CLI::App* command, const std::shared_ptr<CycleOptions>& options) {
    command
        ->add_option("--retry-for", options->retry_seconds,
                     "Seconds to go on when training does not answer")
        ->check(CLI::Range(0.0, 86'400.0))
        ->capture_default_str();
  };

  auto options = std::make_shared<CycleOptions>();
  auto* command = line.AddCommand(group, "start", "Start a cycle by hand");
  AddTask(command, &options->task);
  command->add_option("--reason", options->reason, "For the record");
  command->add_flag("--labels-at-hand", options->labels_at_hand,
                    "Ask for no labels: take those that are there by now");
  command->add_option("--candidate", options->candidate,
                      "Train nothing: hold this model version (id or TASK@VERSION) against the "
                      "serving one");
  command->add_option("--override-reason", options->override_reason,
                      "Pass a gate that says no; kept in the audit log");
  command->add_option("--request-id", options->request_id,
                      "Repeating a command with the same id returns the cycle that is there");
  command->add_flag("--wait", options->wait, "Follow it to its end");
  retry_for(command, options);
  line.OnRun(command, [&line, options] { return Start(line, *options); });

  options = std::make_shared<CycleOptions>();
  command = line.AddCommand(group, "list", "List cycles, newest first");
  command->add_option("--task", options->task, "Of this task only");
  command->add_option("--state", options->state, "Such as canary, promoted or rolled_back");
  AddLimit(command, &options->limit);
  line.OnRun(command, [&line, options] { return List(line, *options); });

  options = std::make_shared<CycleOptions>();
  command = line.AddCommand(group, "show", "Show a cycle: steps, samples, gate, cost");
  command->add_option("ID", options->cycle, "Its id")->required();
  line.OnRun(command, [&line, options] { return Get(line, *options); });

  options = std::make_shared<CycleOptions>();
  command = line.AddCommand(group, "watch", "Follow a cycle to its end; fails unless it promotes");
  command->add_option("ID", options->cycle, "Its id")->required();
  retry_for(command, options);
  line.OnRun(command, [&line, options] { return Watch(line, *options); });

  options = std::make_shared<CycleOptions>();
  command = line.AddCommand(group, "cancel",
                            "End a cycle: leases, runs and shares of traffic are taken back");
  command->add_option("ID", options->cycle, "Its id")->required();
  command->add_option("--reason", options->reason, "For the record");
  line.OnRun(command, [&line, options] { return Change(line, *options, &Stub::CancelCycle); });

  options = std::make_shared<CycleOptions>();
  command = line.AddCommand(group, "pause", "Take no further step of a cycle");
  command->add_option("ID", options->cycle, "Its id")->required();
  command->add_option("--reason", options->reason, "For the record");
  line.OnRun(command, [&line, options] { return Change(line, *options, &Stub::PauseCycle); });

  options = std::make_shared<CycleOptions>();
  command = line.AddCommand(group, "resume", "Go on with a paused cycle");
  command->add_option("ID", options->cycle, "Its id")->required();
  command->add_option("--reason", options->reason, "For the record");
  line.OnRun(command, [&line, options] { return Change(line, *options, &Stub::ResumeCycle); });

  options = std::make_shared<CycleOptions>();
  command = line.AddCommand(group, "retry", "Take up a failed cycle where it failed");
  command->add_option("ID", options->cycle, "Its id")->required();
  command->add_option("--reason", options->reason, "For the record");
  line.OnRun(command, [&line, options] { return Change(line, *options, &Stub::RetryCycle); });

  options = std::make_shared<CycleOptions>();
  command = line.AddCommand(
      group, "decisions",
      "Every time that a cycle could have been started, and why or why not; and what "
      "people decided about one");
  command->add_option("--task", options->task, "Of this task only");
  AddLimit(command, &options->limit);
  line.OnRun(command, [&line, options] { return ListDecisions(line, *options); });
}

}  // namespace tidewheel::cli
