#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/training/domain/cycle_store.h"

namespace tidewheel::training {

/// Cycles in memory, for tests. A save can be made to fail, before or after it took effect, as when
/// the process dies there. Not thread-safe.
class FakeCycleStore final : public CycleStore {
 public:
  Result<DecidedCycle> Decide(const std::string& task, const std::string& trigger,
                              const std::string& alert_id, const std::string& event,
                              Deciding& decide) override {
    for (const auto& known : decisions) {
      if (known.task != task || known.trigger != trigger || known.alert_id != alert_id ||
          known.event != event) {
        continue;
      }
      DecidedCycle there{known, {}, false};
      if (!known.cycle_id.empty()) there.cycle = Get(known.cycle_id);
      return there;
    }
    auto [decision, cycle] = decide.Decide(*StateOf(task));
    decision.trigger = trigger;
    decision.alert_id = alert_id;
    if (decision.event.empty()) decision.event = event;
    decisions.push_back(decision);
    if (cycle) {
      cycle->steps.push_back({cycle->state, cycle->started_at, {}, "", {}});
      cycle->decisions.push_back(decision);
      rows.push_back({*cycle, "", {}, cycle->started_at});
    }
    return DecidedCycle{decision, cycle, true};
  }
  Result<TaskCycles> StateOf(const std::string& task) override {
    TaskCycles state;
    for (const auto& row : rows) {
      if (row.cycle.task != task) continue;
      if (!HasEnded(row.cycle.state)) state.open_cycle_id = row.cycle.id;
      state.last_cycle_id = row.cycle.id;
      state.started_at = row.cycle.started_at;
      if (!row.cycle.ended_at) continue;
      state.ended_at = row.cycle.ended_at;
      state.labels_of_day += row.cycle.labels;
      state.cpu_seconds_of_day += row.cycle.cpu_seconds;
    }
    return state;
  }
  Result<std::optional<Cycle>> Find(const std::string& id) override {
    for (const auto& row : rows) {
      if (row.cycle.id == id) return std::optional(row.cycle);
    }
    return std::optional<Cycle>();
  }
  Result<Page<Cycle>> List(const std::string& task, std::optional<CycleState> state,
                           const PageRequest& /*page*/) override {
    Page<Cycle> page;
    for (const auto& row : rows) {
      if (!task.empty() && row.cycle.task != task) continue;
      if (state && row.cycle.state != *state) continue;
      page.items.insert(page.items.begin(), row.cycle);
    }
    return page;
  }
  Result<Page<Decision>> ListDecisions(const std::string& /*task*/,
                                       const PageRequest& /*page*/) override {
    return Page<Decision>{{decisions.rbegin(), decisions.rend()}, ""};
  }
  Result<std::vector<CycleSample>> ListSamples(const std::string& cycle_id) override {
    return samples[cycle_id];
  }
  Result<std::optional<Cycle>> Claim(const std::string& owner, Timestamp now,
                                     std::chrono::milliseconds lease) override {
    for (auto& row : rows) {
      if (HasEnded(row.cycle.state) || row.next_step_at > now) continue;
      if (row.lease_until && *row.lease_until >= now) continue;
      if (row.cycle.paused && !row.cycle.cancel_requested && !row.cycle.ending) continue;
      row.owner = owner;
      row.lease_until = now + std::chrono::duration_cast<std::chrono::microseconds>(lease);
      return std::optional(row.cycle);
    }
    return std::optional<Cycle>();
  }
  Result<void> Save(const Cycle& cycle, const CycleSave& save) override {
    ++saves;
    const Error dead{ErrorCode::kUnavailable, "the process died here"};
    if (saves == dies_before_save) return dead;
    for (auto& row : rows) {
      if (row.cycle.id != cycle.id) continue;
      if (row.owner != save.owner) return Error{ErrorCode::kAborted, "not yours"};
      // What people ask for is theirs.
      const bool cancel = row.cycle.cancel_requested;
      const std::string why = row.cycle.cancel_reason;
      const bool paused = row.cycle.paused;
      auto steps = std::move(row.cycle.steps);
      auto decided = std::move(row.cycle.decisions);
      for (const auto& [name, value] : save.details) steps.back().details[name] = value;
      if (save.to) {
        steps.back().left_at = save.now;
        steps.back().result = save.result;
        steps.push_back({*save.to, save.now, {}, "", {}});
        states.push_back(*save.to);
      }
      row.cycle = cycle;
      row.cycle.steps = std::move(steps);
      row.cycle.decisions = std::move(decided);
      for (const auto& decision : save.decisions) {
        row.cycle.decisions.push_back(decision);
        decisions.push_back(decision);
      }
      row.cycle.cancel_requested = cancel;
      row.cycle.cancel_reason = why;
      row.cycle.paused = paused;
      row.owner.clear();
      row.lease_until.reset();
      row.next_step_at = save.next_step_at;
    }
    if (!save.chosen.empty()) samples[cycle.id] = save.chosen;
    if (saves == dies_after_save) return dead;
    return {};
  }
  Result<Cycle> RequestCancel(const std::string& id, const CycleAsk& ask) override {
    for (auto& row : rows) {
      if (row.cycle.id != id) continue;
      if (HasEnded(row.cycle.state) && row.cycle.state != CycleState::kCancelled) {
        return Error{ErrorCode::kFailedPrecondition, "cycle " + id + " has ended"};
      }
      if (!row.cycle.cancel_requested) Keep(row.cycle, DecisionOutcome::kCancelled, ask);
      row.cycle.cancel_requested = true;
      row.cycle.cancel_reason = ask.CancelWords();
      row.next_step_at = ask.at;
      return row.cycle;
    }
    return Error{ErrorCode::kNotFound, "no cycle " + id};
  }
  Result<Cycle> Pause(const std::string& id, const CycleAsk& ask) override {
    if (!Get(id).paused) Keep(Get(id), DecisionOutcome::kPaused, ask);
    Get(id).paused = true;
    return Get(id);
  }
  Result<Cycle> Resume(const std::string& id, const CycleAsk& ask) override {
    if (Get(id).paused) Keep(Get(id), DecisionOutcome::kResumed, ask);
    Get(id).paused = false;
    return Get(id);
  }
  Result<Cycle> Retry(const std::string& id, const CycleAsk& ask) override {
    Cycle& cycle = Get(id);
    if (cycle.state != CycleState::kFailed) {
      return Error{ErrorCode::kFailedPrecondition, "cycle " + id + " did not fail"};
    }
    cycle.state = *cycle.failed_in;
    if (cycle.state == CycleState::kTraining) cycle.run_id.clear();
    if (cycle.state == CycleState::kLabeling) cycle.batch_id.clear();
    cycle.failed_in.reset();
    cycle.ending.reset();
    cycle.ended_at.reset();
    cycle.failures_in_row = 0;
    cycle.stage_since = ask.at;
    ++cycle.retries;
    Keep(cycle, DecisionOutcome::kRetried, ask);
    return cycle;
  }
  Result<std::vector<Count>> CountByState() override { return std::vector<Count>(); }
  Result<void> KeepAlert(const WaitingAlert& alert) override {
    if (!dropped_alerts.contains(alert.trigger.alert_id)) alerts[alert.trigger.alert_id] = alert;
    return {};
  }
  Result<void> DropAlert(const std::string& alert_id) override {
    dropped_alerts.insert(alert_id);
    alerts.erase(alert_id);
    return {};
  }
  Result<std::vector<WaitingAlert>> ListWaitingAlerts() override {
    std::vector<WaitingAlert> waiting;
    for (const auto& [id, alert] : alerts) waiting.push_back(alert);
    return waiting;
  }
  Result<std::uint64_t> Forget(std::chrono::seconds /*age*/) override { return std::uint64_t{0}; }

  void Keep(Cycle& cycle, DecisionOutcome outcome, const CycleAsk& ask) {
    cycle.decisions.push_back({.id = "decision-" + std::to_string(decisions.size()),
                               .task = cycle.task,
                               .decided_at = ask.at,
                               .trigger = "hand",
                               .alert_id = "",
                               .event = "",
                               .outcome = outcome,
                               .because = "",
                               .reason = ask.reason,
                               .cycle_id = cycle.id,
                               .actor = ask.actor});
    decisions.push_back(cycle.decisions.back());
  }
  Cycle& Get(const std::string& id) {
    for (auto& row : rows) {
      if (row.cycle.id == id) return row.cycle;
    }
    rows.emplace_back();
    return rows.back().cycle;
  }

  struct Row {
    Cycle cycle;
    std::string owner;
    std::optional<Timestamp> lease_until;
    Timestamp next_step_at{};
  };
  std::vector<Row> rows;
  std::vector<Decision> decisions;
  std::vector<CycleState> states;  // That were entered.
  std::map<std::string, std::vector<CycleSample>> samples;
  std::map<std::string, WaitingAlert> alerts;
  std::set<std::string> dropped_alerts;
  int saves = 0;
  int dies_before_save = 0;  // The how manyeth; 0: none.
  int dies_after_save = 0;
};

}  // namespace tidewheel::training
