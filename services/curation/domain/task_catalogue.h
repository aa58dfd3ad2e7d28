#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::curation {

/// What curation needs to know of a task.
struct TaskPolicy {
  std::string name;
  std::uint32_t version = 0;
  std::vector<std::string> classes;  // In the order of a model's outputs.
  double min_confidence = 0;         // A label of less is kept out.
};

/// Where tasks are declared. Thread-safe.
class TaskCatalogue {
 public:
  virtual ~TaskCatalogue() = default;

  /// The newest version there is now. kNotFound, kUnavailable.
  virtual Result<TaskPolicy> FindNewest(const std::string& task) = 0;
};

}  // namespace tidewheel::curation
