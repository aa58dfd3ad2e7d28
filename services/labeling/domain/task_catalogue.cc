#include "tidewheel/labeling/domain/task_catalogue.h"

#include <algorithm>

namespace tidewheel::labeling {

std::string_view Name(ConsensusMethod method) {
  return method == ConsensusMethod::kDawidSkene ? "dawid-skene" : "majority";
}

Result<ConsensusMethod> ParseConsensusMethod(std::string_view name) {
  for (const auto method : {ConsensusMethod::kMajority, ConsensusMethod::kDawidSkene}) {
    if (Name(method) == name) return method;
  }
  return Error{ErrorCode::kInvalidArgument, "consensus method \"" + std::string(name) +
                                                "\" is neither majority nor dawid-skene"};
}

int TaskPolicy::IndexOf(std::string_view class_name) const {
  const auto found = std::find(classes.begin(), classes.end(), class_name);
  return found == classes.end() ? -1 : static_cast<int>(found - classes.begin());
}

std::string TaskPolicy::ClassList() const {
  constexpr std::size_t kShown = 20;
  std::string list;
  for (std::size_t i = 0; i < classes.size() && i < kShown; ++i) {
    if (i > 0) list += ", ";
    list += classes[i];
  }
  if (classes.size() > kShown) {
    list += " and " + std::to_string(classes.size() - kShown) + " more";
  }
  return list;
}

}  // namespace tidewheel::labeling
