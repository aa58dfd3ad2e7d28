#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/monitoring/domain/finding.h"
#include "tidewheel/monitoring/domain/judge.h"
#include "tidewheel/monitoring/domain/window_rows.h"

namespace tidewheel::monitoring {

namespace cause {
inline constexpr char kDataDrift[] = "data_drift";
inline constexpr char kPredictionDrift[] = "prediction_drift";
inline constexpr char kLabelShift[] = "label_shift";
inline constexpr char kConceptDrift[] = "concept_drift";
inline constexpr char kAccuracy[] = "accuracy";
inline constexpr char kSensorFault[] = "sensor_fault";
inline constexpr char kDataQuality[] = "data_quality";
inline constexpr char kSilence[] = "silence";
inline constexpr char kSlice[] = "slice";
inline constexpr char kAnnotatorQuality[] = "annotator_quality";
}  // namespace cause

/// Two distributions over the same cells, for a picture.
struct HistogramEvidence {
  std::string subject;
  std::vector<double> bounds;      // One more than cells, or
  std::vector<std::string> names;  // one a category.
  std::vector<double> reference_shares;
  std::vector<double> current_shares;
};

/// One cause of trouble with what it is believed to be and to cost.
struct Diagnosis {
  std::string cause;
  std::string title;
  std::string description;
  /// Expected loss of accuracy over all traffic, 0 to 1. Of rows like the reference: what CBPE
  /// says. Of rows outside the 0.99 quantile of the reference's distances, where calibration says
  /// nothing: at least half of the way from the reference's accuracy to guessing. Where outcomes
  /// are known: what they say. A drift without loss keeps a damage below 0.005, in proportion to
  /// its size.
  double damage = 0;
  std::vector<Finding> findings;  // Slices and features, the most damaging first.
  std::vector<HistogramEvidence> histograms;
  std::vector<std::string> telling_predictions;  // "request_id#index".
  Timestamp since{};
  std::uint64_t delay_predictions = 0;
  std::map<std::string, double> class_shares;  // Of kLabelShift.
  std::vector<std::uint64_t> predicted;        // Of the affected rows, by class.
  /// Whether enough was seen since the change to tell this cause from the others. Few rows of
  /// turned pictures may look like other shares of the classes.
  bool certain = true;
};

/// Where the rows begin to be others: the place from which all evidence for the change, summed to
/// the end, is largest (the cumulative sum of Page 1954, read backwards). `scores` are each row's
/// evidence, positive for changed; returns the index of the first changed one.
std::size_t ChangePoint(std::span<const double> scores);

/// How rows that look drifted stand to the reference once its classes have the shares that the
/// rows' predictions call for.
struct Reweighting {
  bool possible = false;  // The classifier tells the classes apart, and the shares did change.
  double p_value = 0;     // That windows of such shares are as far from the reweighted reference.
  std::map<std::string, double> shares;
};

/// Black-box shift estimation, then the drift statistics against the reweighted reference, with
/// their distribution from resampled windows of the same shares, each estimated anew.
Reweighting ExplainByShares(const PreparedReference& prepared, const RowTable& rows,
                            std::span<const std::string> classes);

/// The estimated shares of the classes behind these predictions; empty where they cannot be told.
std::map<std::string, double> EstimatedShares(const PreparedReference& prepared,
                                              std::span<const std::uint64_t> predicted,
                                              std::span<const std::string> classes);

struct CauseOptions {
  /// Below this p-value of the reweighted reference the classes' shares are not the explanation.
  double least_p_of_label_shift = 1e-3;
  /// The window before was above the pair level, too.
  bool seen_before = false;
};

/// Whether drift fires, of which the caller knows the window before.
enum class DriftEvidence { kNone, kPair, kSingle };

/// What the findings of a window amount to, one diagnosis for each cause. `before` is the window
/// before, if it is known: the change is looked for in both. `rare_fires` are the indices of rare
/// counts that fire. Sets Finding::fires of `judgement`.
std::vector<Diagnosis> Explain(Judgement* judgement, DriftEvidence drift,
                               std::span<const std::size_t> rare_fires, const WindowRows& window,
                               const WindowRows* before, const Profile* profile,
                               PreparedReference* prepared, const CauseOptions& options = {});

/// What has drifted in the window of a slice, above `level`, and what that is expected to cost all
/// traffic, of which the slice is `share`. The first finding is the slice itself (its damage is its
/// statistic, the loss within it its effect), then its strongest ones. Sets Finding::fires.
Diagnosis ExplainSlice(Judgement* judgement, double level, const WindowRows& window,
                       const Profile& profile, const PreparedReference& prepared, double share);

/// Whether such values are a fault of the data only if the rest has not drifted.
bool MayBeDrift(const RareCount& count);

/// What a person reads: "0.25" as "25 %".
std::string Percent(double share);

}  // namespace tidewheel::monitoring
