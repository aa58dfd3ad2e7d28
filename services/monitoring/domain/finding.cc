#include "tidewheel/monitoring/domain/finding.h"

#include <array>
#include <utility>

namespace tidewheel::monitoring {
namespace {

constexpr std::array<std::pair<FindingKind, std::string_view>, 12> kNames = {{
    {FindingKind::kFeatureDrift, "feature_drift"},
    {FindingKind::kEmbeddingDrift, "embedding_drift"},
    {FindingKind::kPredictionDrift, "prediction_drift"},
    {FindingKind::kLabelShift, "label_shift"},
    {FindingKind::kConceptDrift, "concept_drift"},
    {FindingKind::kEstimatedAccuracy, "estimated_accuracy"},
    {FindingKind::kEstimateAudit, "estimate_audit"},
    {FindingKind::kDataQuality, "data_quality"},
    {FindingKind::kInputQuality, "input_quality"},
    {FindingKind::kSilence, "silence"},
    {FindingKind::kSlicePerformance, "slice_performance"},
    {FindingKind::kAnnotatorQuality, "annotator_quality"},
}};

}  // namespace

std::string_view Name(FindingKind kind) {
  for (const auto& [value, name] : kNames) {
    if (value == kind) return name;
  }
  return "unknown";
}

Result<FindingKind> FindingKindNamed(std::string_view name) {
  for (const auto& [value, text] : kNames) {
    if (text == name) return value;
  }
  return Error{ErrorCode::kNotFound, "no kind of finding is called " + std::string(name)};
}

}  // namespace tidewheel::monitoring
