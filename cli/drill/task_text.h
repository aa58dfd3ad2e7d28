#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/cli/drill/scenario.h"

namespace tidewheel::cli::drill {

/// The task that a drill works with: what the set's own file says of classes, preprocessing,
/// quality and splits, and the policies that a loop of minutes instead of weeks needs. Where the
/// task does not close the loop nothing of its traffic is captured and no cycle starts.
/// kInvalidArgument: `base` has no section `labels`, where the drill's part begins.
Result<std::string> TaskText(const std::string& base, const std::string& name,
                             const Options& options, bool closes_loop = true);

/// The name on the first line `task: NAME` of a task's file; empty: there is none.
std::string TaskName(const std::string& yaml);

/// False alarms that the task's budget expects of so many requests, and the most that chance
/// explains (the 97.5 % quantile of a Poisson distribution).
struct AlarmBudget {
  double expected = 0;
  std::uint32_t most = 0;
};
AlarmBudget BudgetOf(std::uint64_t requests);

}  // namespace tidewheel::cli::drill
