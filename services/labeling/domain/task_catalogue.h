#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::labeling {

enum class ConsensusMethod { kMajority, kDawidSkene };

/// "majority", "dawid-skene".
std::string_view Name(ConsensusMethod method);
/// kInvalidArgument names the word and the two methods.
Result<ConsensusMethod> ParseConsensusMethod(std::string_view name);

/// What labeling needs to know of a task.
struct TaskPolicy {
  std::string name;
  std::uint32_t version = 0;
  std::vector<std::string> classes;  // In the order of a model's outputs.
  ConsensusMethod method = ConsensusMethod::kMajority;
  std::uint32_t min_votes = 1;
  double min_confidence = 0;  // A label of less is kept out of dataset versions.

  /// -1: not a class of this task.
  int IndexOf(std::string_view class_name) const;
  /// "red, yellow, green", cut after some twenty names.
  std::string ClassList() const;
};

/// Where tasks are declared. Thread-safe.
class TaskCatalogue {
 public:
  virtual ~TaskCatalogue() = default;

  /// The newest version, up to a moment old. kNotFound, kUnavailable.
  virtual Result<std::shared_ptr<const TaskPolicy>> Find(const std::string& task) = 0;
  /// The newest version there is now.
  virtual Result<std::shared_ptr<const TaskPolicy>> FindNewest(const std::string& task) = 0;
};

}  // namespace tidewheel::labeling
