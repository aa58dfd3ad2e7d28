#include "tidewheel/monitoring/domain/observer.h"

namespace tidewheel::monitoring {

Result<void> Observer::Observe(std::span<const Prediction> predictions) {
  std::map<std::string, std::uint32_t> sizes;
  for (const auto& prediction : predictions) {
    const std::string& task = prediction.model.task;
    if (sizes.contains(task)) continue;
    const auto size = policies_.WindowSize(task);
    if (!size && size.error().code != ErrorCode::kNotFound) return size.error();
    sizes[task] = size ? *size : kDefaultWindowSize;
  }
  const auto added = store_.AddPredictions(predictions, sizes);
  if (!added) return added.error();
  counters_.predictions.Add(static_cast<double>(*added));
  return {};
}

Result<void> Observer::Observe(std::span<const Outcome> outcomes) {
  const auto added = store_.AddOutcomes(outcomes);
  if (!added) return added.error();
  counters_.outcomes.Add(static_cast<double>(*added));
  return {};
}

}  // namespace tidewheel::monitoring
