#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/training/domain/gate_evaluation.h"

namespace tidewheel::training {

/// The way of one turn of the loop; the last five are its ends.
enum class CycleState {
  kTriggered,
  kCollecting,
  kLabeling,
  kBuilding,
  kTraining,
  kGating,
  kAwaitingSignOff,
  kShadow,
  kCanary,
  kPromoted,
  kRejected,
  kRolledBack,
  kCancelled,
  kFailed,
};
/// "triggered", "awaiting_sign_off" and so on: words of tables and events.
std::string_view Name(CycleState state);
std::optional<CycleState> CycleStateFrom(std::string_view name);
bool HasEnded(CycleState state);

/// What started a cycle.
struct CycleTrigger {
  std::string kind;  // "alert", "labels", "schedule" or "hand".
  std::string alert_id;
  std::string alert_cause;
  double damage = 0;               // Of the alert: expected loss of accuracy.
  std::optional<Timestamp> since;  // Where the change began; samples are chosen from there on.
};

struct CycleStep {
  CycleState state = CycleState::kTriggered;
  Timestamp entered_at{};
  std::optional<Timestamp> left_at;
  std::string result;
  std::map<std::string, std::string> details;
};

/// What was decided: whether a cycle starts, what people do to one that is there, and where it goes
/// on by itself without what it would wait for.
enum class DecisionOutcome {
  kNotStarted,
  kStarted,
  kPaused,
  kResumed,
  kRetried,
  kCancelled,
  kWentOn
};
/// "not_started", "paused" and so on: words of tables and of the wire.
std::string_view Name(DecisionOutcome outcome);
std::optional<DecisionOutcome> DecisionOutcomeFrom(std::string_view name);

/// One time that a cycle could have been started, or that somebody decided about one.
struct Decision {
  std::string id;
  std::string task;
  Timestamp decided_at{};
  std::string trigger;  // As of cycles; "hand" of what people do to one.
  std::string alert_id;
  std::string event;  // Together with trigger and alert: decided once.
  DecisionOutcome outcome = DecisionOutcome::kNotStarted;
  std::string because;  // A word; of decisions against a cycle.
  std::string reason;   // In words, with the figures.
  std::string cycle_id;
  std::string actor;  // Who asked; "alert:<id>" of alerts, empty: the policy alone.

  bool Started() const { return outcome == DecisionOutcome::kStarted; }
};

/// One turn of the loop.
struct Cycle {
  std::string id;
  std::string request_id;  // Of who asked by hand, else derived from the trigger.
  std::string task;
  std::uint32_t task_version = 0;  // Whose policy holds for the whole cycle.
  CycleState state = CycleState::kTriggered;
  std::string reason;  // What it waits for, or why it ended.
  bool paused = false;
  CycleTrigger trigger;
  std::string actor;
  std::string asked_because;
  bool labels_at_hand = false;  // Neither collects nor asks for labels.
  std::string override_reason;  // Passes a gate that says no.

  std::string baseline_model_version_id;
  std::string previous_dataset_version_id;
  std::string slice;  // "key=value" that the alert names; empty: none.
  std::string batch_id;
  std::string dataset_version_id;
  std::string run_id;
  std::string candidate_model_version_id;
  bool given_candidate = false;  // By who asked, not by a run of the cycle.
  std::string gate_evaluation_id;
  std::vector<GateCriterion> criteria;
  std::optional<double> gain;  // Accuracy on the new condition, candidate minus baseline.
  std::optional<double> gain_low;
  std::optional<double> gain_high;
  std::map<std::string, std::uint32_t> acquired;  // Samples by why they were chosen.

  std::uint32_t labels = 0;
  double cpu_seconds = 0;
  std::uint64_t harmed_requests = 0;

  std::uint32_t share_number = 0;     // Of the canary shares, from 0.
  std::string comparison_id;          // Once the comparison of this stage was asked for.
  bool has_traffic = false;           // A rollout may be set.
  std::uint32_t retries = 0;          // By RetryCycle.
  std::uint32_t failures_in_row = 0;  // Calls that failed for the moment.
  Timestamp stage_since{};  // Of the state, of a canary of its share; time paused left out.
  std::optional<CycleState> ending;  // Decided, once everything is taken back.
  std::string ending_reason;
  bool cancel_requested = false;
  std::string cancel_reason;
  std::optional<CycleState> failed_in;

  Timestamp started_at{};
  std::optional<Timestamp> ended_at;
  std::vector<CycleStep> steps;     // In their order; the last one goes on.
  std::vector<Decision> decisions;  // About it, in their order; the first one started it.

  /// What a retried cycle's ids end with, so that it does not meet what it took back.
  std::string IdSuffix() const {
    return retries == 0 ? std::string() : "-retry-" + std::to_string(retries);
  }
  /// Who stands behind its calls in other services' audit.
  std::string CycleActor() const { return "cycle:" + id; }
};

/// Why a sample was chosen to be labeled.
struct CycleSample {
  std::string sample_id;
  std::string request_id;
  std::uint32_t request_index = 0;
  std::string reason;  // "uncertain", "drifted", "slice", "random" or "diverse".
  double score = 0;
  double inclusion_probability = 0;  // Of "random" ones, else 0.
};

}  // namespace tidewheel::training
