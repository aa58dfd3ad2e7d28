#include "tidewheel/monitoring/domain/prediction.h"

namespace tidewheel::monitoring {

void Tally::Add(const Prediction& prediction) {
  ++predictions;
  confidence_sum += prediction.confidence;
  ++by_class[prediction.class_name];
  if (!prediction.outcome_class_name.empty()) {
    AddOutcome(prediction.class_name, prediction.outcome_class_name);
  }
}

void Tally::AddOutcome(const std::string& predicted, const std::string& actual) {
  ++outcomes;
  if (predicted == actual) ++correct;
}

double Tally::MeanConfidence() const {
  return predictions == 0 ? 0 : confidence_sum / static_cast<double>(predictions);
}

std::optional<double> Tally::Accuracy() const {
  if (outcomes == 0) return std::nullopt;
  return static_cast<double>(correct) / static_cast<double>(outcomes);
}

std::uint64_t WindowNumber(std::uint64_t ordinal, std::uint32_t window_size) {
  return ordinal / window_size + 1;
}

}  // namespace tidewheel::monitoring
