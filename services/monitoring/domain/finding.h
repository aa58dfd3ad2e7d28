#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/prediction.h"

namespace tidewheel::monitoring {

enum class FindingKind : std::uint8_t {
  kFeatureDrift = 1,
  kEmbeddingDrift,
  kPredictionDrift,
  kLabelShift,
  kConceptDrift,
  kEstimatedAccuracy,
  kEstimateAudit,
  kDataQuality,
  kInputQuality,
  kSilence,
  kSlicePerformance,
  kAnnotatorQuality,
};

/// "feature_drift", "embedding_drift" and so on.
std::string_view Name(FindingKind kind);
/// kNotFound: no kind of that name.
Result<FindingKind> FindingKindNamed(std::string_view name);

/// What one look at one window (or stream) says of one thing.
struct Finding {
  std::string id;  // A UUID.
  ModelKey model;
  std::string slice;  // Empty: all traffic; else "key=value".
  FindingKind kind = FindingKind::kFeatureDrift;
  std::string subject;  // The feature, class or annotator; empty: the whole.
  std::string method;   // "ks", "total_variation", "mean_shift", "cbpe", "adwin" and so on.
  double statistic = 0;
  double threshold = 0;
  /// In the units of the thing, with its 95 % interval.
  double effect = 0;
  double effect_low = 0;
  double effect_high = 0;
  bool fires = false;
  std::uint64_t predictions = 0;
  Timestamp first_at{};
  Timestamp last_at{};
  std::string window_id;

  /// The statistic as a share of its threshold; 0 where there is none.
  double Share() const { return threshold > 0 ? statistic / threshold : 0; }
};

}  // namespace tidewheel::monitoring
