#include "tidewheel/cli/drill/scenario.h"

#include <algorithm>

namespace tidewheel::cli::drill {

const std::vector<std::string>& ScenarioNames() {
  static const std::vector<std::string> names = {"calm",  "rotate", "prior",   "concept", "noise",
                                                 "fault", "recur",  "planted", "aa"};
  return names;
}

Result<Scenario> ParseScenario(std::string_view name) {
  const auto& names = ScenarioNames();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<Scenario>(found - names.begin());
  std::string known;
  for (const auto& each : names) known += (known.empty() ? "" : ", ") + each;
  return Error{ErrorCode::kInvalidArgument,
               "no scenario \"" + std::string(name) + "\"; there are " + known};
}

const std::string& Name(Scenario scenario) {
  return ScenarioNames()[static_cast<std::size_t>(scenario)];
}

}  // namespace tidewheel::cli::drill
