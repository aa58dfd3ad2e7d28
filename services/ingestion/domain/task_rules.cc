#include "tidewheel/ingestion/domain/task_rules.h"

#include "tidewheel/base/random.h"

namespace tidewheel::ingestion {
namespace {

/// A number in [0, 1) that belongs to the group.
double Place(const SplitPolicy& policy, const std::string& group) {
  return static_cast<double>(StableHash(group, policy.seed) >> 11) * 0x1.0p-53;
}

}  // namespace

Split AssignSplit(const SplitPolicy& policy, const std::string& group,
                  const std::map<std::string, std::string>& metadata) {
  const double place = Place(policy, group);
  if (!policy.metadata_key.empty()) {
    const auto given = metadata.find(policy.metadata_key);
    const auto split = given == metadata.end() ? std::nullopt : SplitFrom(given->second);
    if (split && *split != Split::kTraining) return *split;
    if (split) return place < policy.validation_share ? Split::kValidation : Split::kTraining;
  }
  if (place < policy.test_share) return Split::kTest;
  if (place < policy.test_share + policy.validation_share) return Split::kValidation;
  return Split::kTraining;
}

}  // namespace tidewheel::ingestion
