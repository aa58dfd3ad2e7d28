#include "tidewheel/training/domain/cycle_starter.h"

#include <utility>

#include "tidewheel/base/ids.h"
#include "tidewheel/training/domain/trigger_decider.h"

namespace tidewheel::training {
namespace {

constexpr std::size_t kMaxText = 1'000;
constexpr std::size_t kMaxActor = 256;

Result<void> CheckText(const char* name, const std::string& text, std::size_t least,
                       std::size_t most) {
  if (text.size() < least || text.size() > most || text.find('\0') != std::string::npos) {
    return Error{ErrorCode::kInvalidArgument, std::string(name) + " has " + std::to_string(least) +
                                                  " to " + std::to_string(most) + " characters"};
  }
  return {};
}

/// Makes the cycle of a decision to start one.
class StartOrNot final : public CycleStore::Deciding {
 public:
  StartOrNot(const TaskPolicy& task, const CycleTrigger& trigger, const CycleStarter::Wish& wish,
             Timestamp now)
      : task_(task), trigger_(trigger), wish_(wish), now_(now) {}

  std::pair<Decision, std::optional<Cycle>> Decide(const TaskCycles& state) override {
    const auto verdict = DecideTrigger(task_.cycle, trigger_, state, now_);
    Decision decision;
    decision.id = NewUuid();
    decision.task = task_.task;
    decision.decided_at = now_;
    decision.outcome = verdict.start ? DecisionOutcome::kStarted : DecisionOutcome::kNotStarted;
    decision.actor = wish_.actor;
    decision.because = verdict.because;
    decision.reason = verdict.reason;
    // By hand it may be asked again with the same id once the running cycle has ended.
    if (!verdict.start && trigger_.kind == "hand") {
      decision.event = wish_.request_id + " while " + state.open_cycle_id;
    }
    if (!verdict.start) return {decision, std::nullopt};

    Cycle cycle;
    cycle.id = NewUuid();
    cycle.request_id = wish_.request_id;
    cycle.task = task_.task;
    cycle.task_version = task_.version;
    cycle.trigger = trigger_;
    cycle.actor = wish_.actor;
    cycle.asked_because = wish_.reason;
    cycle.labels_at_hand = wish_.with_labels_at_hand;
    cycle.candidate_model_version_id = wish_.candidate_model_version_id;
    cycle.given_candidate = !wish_.candidate_model_version_id.empty();
    cycle.override_reason = wish_.override_reason;
    cycle.started_at = now_;
    cycle.stage_since = now_;
    decision.cycle_id = cycle.id;
    return {decision, std::move(cycle)};
  }

 private:
  const TaskPolicy& task_;
  const CycleTrigger& trigger_;
  const CycleStarter::Wish& wish_;
  const Timestamp now_;
};

}  // namespace

Result<void> CheckAsk(const CycleAsk& ask) {
  if (auto checked = CheckText("actor", ask.actor, 0, kMaxActor); !checked) return checked;
  return CheckText("reason", ask.reason, 0, kMaxText);
}

Result<DecidedCycle> CycleStarter::Decide(const TaskPolicy& task, const CycleTrigger& trigger,
                                          const std::string& event, const Wish& wish) {
  StartOrNot start_or_not(task, trigger, wish, clock_.Now());
  return store_.Decide(task.task, trigger.kind, trigger.alert_id, event, start_or_not);
}

Result<CycleStarter::Started> CycleStarter::StartByHand(const Wish& wish) {
  for (const auto& checked :
       {CheckText("request_id", wish.request_id, 1, 128),
        CheckText("actor", wish.actor, 0, kMaxActor), CheckText("reason", wish.reason, 0, kMaxText),
        CheckText("candidate_model_version_id", wish.candidate_model_version_id, 0, 128),
        CheckText("override_reason", wish.override_reason, 0, kMaxText)}) {
    if (!checked) return checked.error();
  }
  const auto task = models_.FindTask(wish.task, 0);
  if (!task) return task.error();
  const auto serving = models_.FindServing(wish.task);
  if (!serving) return serving.error();
  if (!serving->production) {
    return Error{ErrorCode::kFailedPrecondition,
                 "nothing serves task " + wish.task + ": promote a first model"};
  }
  if (!wish.candidate_model_version_id.empty()) {
    const auto candidate = models_.FindModelVersion(wish.candidate_model_version_id);
    if (!candidate) return candidate.error();
    if (candidate->task != wish.task) {
      return Error{ErrorCode::kInvalidArgument, "model version " + wish.candidate_model_version_id +
                                                    " is of task " + candidate->task};
    }
  }
  const CycleTrigger trigger{"hand", "", "", 0, {}};
  auto decided = Decide(*task, trigger, wish.request_id, wish);
  if (!decided) return decided.error();
  if (!decided->decision.Started()) {
    return Error{ErrorCode::kFailedPrecondition, decided->decision.reason};
  }
  if (!decided->cycle) {
    return Error{ErrorCode::kInternal, "cycle " + decided->decision.cycle_id + " is not there"};
  }
  return Started{*std::move(decided->cycle), decided->created};
}

Result<Decision> CycleStarter::OnAlert(const Alert& alert) {
  auto task = models_.FindTask(alert.task, 0);
  if (!task && task.error().code != ErrorCode::kNotFound) return task.error();
  if (!task) {  // A task nobody declared has no policy, and so no cycles.
    TaskPolicy unknown;
    unknown.task = alert.task;
    task = std::move(unknown);
  }
  const CycleTrigger trigger{"alert", alert.alert_id, alert.cause, alert.damage, alert.since};
  Wish wish;
  wish.actor = "alert:" + alert.alert_id;
  wish.request_id = "alert-" + alert.event_id;
  const auto decided = Decide(*task, trigger, alert.event_id, wish);
  if (!decided) return decided.error();
  const std::string& because = decided->decision.because;
  if (decided->created && !decided->decision.Started() &&
      (because == "cooldown" || because == "cycle_running" || because == "budget")) {
    const auto kept = store_.KeepAlert({alert.task, alert.model_version_id, trigger});
    if (!kept) return kept.error();
  }
  return decided->decision;
}

Result<void> CycleStarter::OnAlertResolved(const std::string& alert_id) {
  return store_.DropAlert(alert_id);
}

Result<void> CycleStarter::LookAround() {
  const auto tasks = models_.ListCycleTasks();
  if (!tasks) return tasks.error();
  for (const auto& name : *tasks) {
    const auto task = models_.FindTask(name, 0);
    if (!task) return task.error();
    if (const auto looked = LookAt(*task); !looked) return looked;
  }
  const auto waiting = store_.ListWaitingAlerts();
  if (!waiting) return waiting.error();
  for (const auto& alert : *waiting) {
    if (const auto looked = LookAgainAt(alert); !looked) return looked;
  }
  return {};
}

Result<void> CycleStarter::LookAt(const TaskPolicy& task) {
  const CyclePolicy& policy = task.cycle;
  if (policy.new_labels == 0 && policy.schedule_hours <= 0) return {};
  const auto state = store_.StateOf(task.task);
  if (!state) return state.error();
  if (!state->open_cycle_id.empty()) return {};
  const auto serving = models_.FindServing(task.task);
  if (!serving) return serving.error();
  if (!serving->production) return {};  // Nothing to be held against yet.

  const std::string after = state->last_cycle_id.empty() ? "the first" : state->last_cycle_id;
  const auto decide = [&](const char* kind, bool labels_at_hand) -> Result<void> {
    const CycleTrigger trigger{kind, "", "", 0, {}};
    const auto verdict = DecideTrigger(policy, trigger, *state, clock_.Now());
    Wish wish;
    wish.actor = kind;
    wish.with_labels_at_hand = labels_at_hand;
    // One row for each reason why not, and not one for each look.
    const std::string event = "after " + after + (verdict.start ? "" : ": " + verdict.because);
    wish.request_id = std::string(kind) + " " + task.task + " " + event;
    const auto decided = Decide(task, trigger, event, wish);
    return decided ? Result<void>() : Result<void>(decided.error());
  };
  if (policy.new_labels > 0) {
    const auto labels = samples_.CountNewLabels(task.task);
    if (!labels) return labels.error();
    if (*labels >= policy.new_labels) return decide("labels", true);
  }
  if (policy.schedule_hours > 0) {
    const auto since = state->started_at ? *state->started_at : serving->since;
    const double hours =
        std::chrono::duration<double, std::ratio<3600>>(clock_.Now() - since).count();
    if (hours >= policy.schedule_hours) return decide("schedule", false);
  }
  return {};
}

Result<void> CycleStarter::LookAgainAt(const WaitingAlert& alert) {
  const auto state = store_.StateOf(alert.task);
  if (!state) return state.error();
  if (!state->open_cycle_id.empty()) return {};
  const auto task = models_.FindTask(alert.task, 0);
  if (!task) return task.error();
  const auto serving = models_.FindServing(alert.task);
  if (!serving) return serving.error();
  // An alert about a version that serves no more has been answered.
  if (!serving->production || serving->production->model_version_id != alert.model_version_id) {
    return store_.DropAlert(alert.trigger.alert_id);
  }
  const auto verdict = DecideTrigger(task->cycle, alert.trigger, *state, clock_.Now());
  const bool later = verdict.because == "cooldown" || verdict.because == "budget";
  if (!verdict.start && later) return {};
  Wish wish;
  wish.actor = "alert:" + alert.trigger.alert_id;
  const std::string event = "again after " + state->last_cycle_id;
  wish.request_id = "alert-" + alert.trigger.alert_id + " " + event;
  const auto decided = Decide(*task, alert.trigger, event, wish);
  if (!decided) return decided.error();
  return store_.DropAlert(alert.trigger.alert_id);
}

}  // namespace tidewheel::training
