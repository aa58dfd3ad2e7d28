#include "tidewheel/ingestion/domain/task_rules.h"

#include "tidewheel/stats/splits.h"

namespace tidewheel::ingestion {

Split AssignSplit(const SplitPolicy& policy, const std::string& group,
                  const std::map<std::string, std::string>& metadata) {
  const double place = stats::PlaceOfGroup(group, policy.seed);
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
