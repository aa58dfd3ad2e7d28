#pragma once

#include <string>

#include "tidewheel/base/clock.h"
#include "tidewheel/training/domain/cycle_policy.h"
#include "tidewheel/training/domain/cycle_store.h"

namespace tidewheel::training {

struct TriggerVerdict {
  bool start = false;
  std::string because;  // "sensor_fault", "disabled", "not_in_policy", "harmless", "cycle_running",
                        // "cooldown" or "budget"; empty when it starts.
  std::string reason;   // In words, with the figures.
};

/// Whether a trigger starts a cycle: what the policy says of it, then what is true of the task. By
/// hand everything but a running cycle is overruled.
TriggerVerdict DecideTrigger(const CyclePolicy& policy, const CycleTrigger& trigger,
                             const TaskCycles& now, Timestamp at);

}  // namespace tidewheel::training
