#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/training/domain/cycle.h"
#include "tidewheel/training/domain/run_store.h"

namespace tidewheel::training {

/// What is true of a task when a cycle could start.
struct TaskCycles {
  std::string open_cycle_id;            // Empty: none.
  std::string last_cycle_id;            // The newest, open or not.
  std::optional<Timestamp> started_at;  // Of the newest.
  std::optional<Timestamp> ended_at;    // When one ended last.
  std::uint64_t labels_of_day = 0;      // Of those that ended in the last 24 hours.
  double cpu_seconds_of_day = 0;
};

/// One save of a cycle.
struct CycleSave {
  std::string owner;  // Who holds the lease.
  Timestamp now{};
  Timestamp next_step_at{};      // The lease ends, and nobody looks at the cycle before.
  std::optional<CycleState> to;  // Leaves its state (or a canary's share) for this one.
  std::string result;            // Of the step that is left.
  std::map<std::string, std::string> details;  // Added to those of the step.
  std::vector<CycleSample> chosen;             // Added to the cycle.
  std::vector<Decision> decisions;             // About it, each once.
};

struct DecidedCycle {
  Decision decision;
  std::optional<Cycle> cycle;  // When it started one.
  bool created = false;        // False: decided before.
};

/// An alert that is still true and did not start a cycle.
struct WaitingAlert {
  std::string task;
  std::string model_version_id;
  CycleTrigger trigger;
};

/// What somebody asks about a cycle that is there. Kept as a decision about it, unless it changes
/// nothing.
struct CycleAsk {
  std::string actor;
  std::string reason;
  Timestamp at{};

  /// Why a cycle ends that they cancel.
  std::string CancelWords() const {
    return "cancelled by " + (actor.empty() ? "somebody" : actor) +
           (reason.empty() ? "" : ": " + reason);
  }
};

/// What the domain needs of storage for cycles. State changes carry their event in the same
/// transaction. Thread-safe.
class CycleStore {
 public:
  virtual ~CycleStore() = default;

  /// Looks whether this was decided before; if not, asks `decide` with what is true now and keeps
  /// its decision and the cycle that it starts, in one transaction that no other decision on the
  /// task can come between.
  class Deciding {
   public:
    virtual ~Deciding() = default;
    /// With an empty cycle when none is to start. A decision's own event goes before the given one.
    virtual std::pair<Decision, std::optional<Cycle>> Decide(const TaskCycles& now) = 0;
  };
  virtual Result<DecidedCycle> Decide(const std::string& task, const std::string& trigger,
                                      const std::string& alert_id, const std::string& event,
                                      Deciding& decide) = 0;

  virtual Result<TaskCycles> StateOf(const std::string& task) = 0;

  virtual Result<std::optional<Cycle>> Find(const std::string& id) = 0;
  /// Newest first; empty means all.
  virtual Result<Page<Cycle>> List(const std::string& task, std::optional<CycleState> state,
                                   const PageRequest& page) = 0;
  virtual Result<Page<Decision>> ListDecisions(const std::string& task,
                                               const PageRequest& page) = 0;
  virtual Result<std::vector<CycleSample>> ListSamples(const std::string& cycle_id) = 0;

  /// Takes a cycle that is due and nobody's, until `lease` after now; or none.
  virtual Result<std::optional<Cycle>> Claim(const std::string& owner, Timestamp now,
                                             std::chrono::milliseconds lease) = 0;
  /// kAborted: it is not the owner's any more.
  virtual Result<void> Save(const Cycle& cycle, const CycleSave& save) = 0;

  /// kNotFound. kFailedPrecondition: it has ended otherwise.
  virtual Result<Cycle> RequestCancel(const std::string& id, const CycleAsk& ask) = 0;
  virtual Result<Cycle> Pause(const std::string& id, const CycleAsk& ask) = 0;
  virtual Result<Cycle> Resume(const std::string& id, const CycleAsk& ask) = 0;
  /// kFailedPrecondition: it did not fail, or another one of the task is open.
  virtual Result<Cycle> Retry(const std::string& id, const CycleAsk& ask) = 0;

  /// How many stand in each state, by task; and how many ended as what.
  struct Count {
    std::string task;
    CycleState state = CycleState::kTriggered;
    std::uint64_t cycles = 0;
  };
  virtual Result<std::vector<Count>> CountByState() = 0;

  /// Alerts that came at the wrong time, to be looked at again. A dropped one is not kept again.
  virtual Result<void> KeepAlert(const WaitingAlert& alert) = 0;
  virtual Result<void> DropAlert(const std::string& alert_id) = 0;
  virtual Result<std::vector<WaitingAlert>> ListWaitingAlerts() = 0;

  /// Forgets decisions against a cycle and alerts that waited, older than `age`; what started a
  /// cycle stays with it. How many rows.
  virtual Result<std::uint64_t> Forget(std::chrono::seconds age) = 0;
};

}  // namespace tidewheel::training
