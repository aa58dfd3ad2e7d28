#pragma once

#include <string>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/training/domain/cycle_callees.h"
#include "tidewheel/training/domain/cycle_store.h"

namespace tidewheel::training {

/// kInvalidArgument names the field and its limit.
Result<void> CheckAsk(const CycleAsk& ask);

/// Decides whether cycles start: by hand, because of alerts, of labels, and of time. Each decision
/// is kept, also that none starts, and each cause is decided once. Thread-safe.
class CycleStarter {
 public:
  CycleStarter(CycleStore& store, ModelDesk& models, SampleCatalogue& samples, const Clock& clock)
      : store_(store), models_(models), samples_(samples), clock_(clock) {}

  struct Wish {
    std::string request_id{};
    std::string task{};
    std::string actor{};
    std::string reason{};
    bool with_labels_at_hand = false;
    std::string candidate_model_version_id{};
    std::string override_reason{};
  };
  struct Started {
    Cycle cycle;
    bool created = false;
  };
  /// kInvalidArgument names the field and its limit. kNotFound: the task. kFailedPrecondition: one
  /// is running (names it), or nothing serves the task.
  Result<Started> StartByHand(const Wish& wish);

  struct Alert {
    std::string event_id{};
    std::string alert_id{};
    std::string task{};
    std::string model_version_id{};
    std::string cause{};
    double damage = 0;
    std::optional<Timestamp> since{};
  };
  /// The same event again changes nothing.
  Result<Decision> OnAlert(const Alert& alert);
  Result<void> OnAlertResolved(const std::string& alert_id);

  /// Looks at every task whose policy counts labels or hours, and at the alerts that are still true
  /// since a cycle of their task has ended. To be called now and then.
  Result<void> LookAround();

 private:
  Result<DecidedCycle> Decide(const TaskPolicy& task, const CycleTrigger& trigger,
                              const std::string& event, const Wish& wish);
  Result<void> LookAt(const TaskPolicy& task);
  Result<void> LookAgainAt(const WaitingAlert& alert);

  CycleStore& store_;
  ModelDesk& models_;
  SampleCatalogue& samples_;
  const Clock& clock_;
};

}  // namespace tidewheel::training
