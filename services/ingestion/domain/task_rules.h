#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/ingestion/domain/sample.h"

namespace tidewheel::ingestion {

/// Which payloads are set aside; a limit of 0 switches its rule off. Units as in the task's
/// declaration.
struct QualityRules {
  std::uint64_t max_payload_bytes = 0;
  std::uint64_t max_pixels = 0;
  std::uint32_t min_side = 0;
  std::uint32_t max_side = 0;
  double min_mean_luminance = 0;
  double max_mean_luminance = 0;
  double max_dark_share = 0;
  double max_bright_share = 0;
  double min_sharpness = 0;
};

/// How a split is fixed.
struct SplitPolicy {
  double validation_share = 0.15;
  double test_share = 0.15;
  std::uint64_t seed = 1;
  std::string metadata_key;  // Empty: the hash alone decides.
};

/// What ingestion needs to know of a task.
struct TaskRules {
  std::string name;
  QualityRules quality;
  int near_duplicate_quarantine_distance = -1;  // Bits of 128; -1 is off.
  int near_duplicate_group_distance = -1;       // Bits of 128; -1 is off.
  SplitPolicy splits;
};

/// Where tasks are declared. Thread-safe.
class TaskSource {
 public:
  virtual ~TaskSource() = default;
  /// kNotFound names the task; kUnavailable: nobody to ask, and not known from before.
  virtual Result<std::shared_ptr<const TaskRules>> Find(const std::string& task) = 0;
};

/// The split of a sample, for good: by a hash of its group, so that a group never parts; a split
/// that came with the metadata wins, and what came as "training" is divided into training and
/// validation by the hash.
Split AssignSplit(const SplitPolicy& policy, const std::string& group,
                  const std::map<std::string, std::string>& metadata);

}  // namespace tidewheel::ingestion
