#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/finding.h"
#include "tidewheel/monitoring/domain/judge_statistics.h"
#include "tidewheel/monitoring/domain/threshold.h"
#include "tidewheel/monitoring/domain/window_rows.h"

namespace tidewheel::monitoring {

/// How a window's allowed false alarms are divided. Together at most 1.
namespace budget {
inline constexpr double kDriftPair = 0.40;    // Two windows in a row above a level.
inline constexpr double kDriftSingle = 0.15;  // One above a far higher one.
inline constexpr double kRare = 0.15;         // Missing, never-seen and out-of-range values, inputs
                                              // that break rules: divided by their number.
inline constexpr double kOutcomes =
    0.20;                                // Blocks of outcomes, pairs of them, ADWIN: a third each.
inline constexpr double kSlices = 0.05;  // Outcomes of slices: divided by their number.
inline constexpr double kSliceWindows = 0.05;  // Drift of slices: divided by the number of keys, as
                                               // a prediction is in one slice of each.
}  // namespace budget

/// Method of a finding whose subject says why drift could not be judged.
inline constexpr char kNotApplicable[] = "not_applicable";

/// A model's reference with everything that is worked out once. Immutable but for the tables, which
/// are made when first asked for. Thread-safe.
class PreparedReference {
 public:
  /// kFailedPrecondition: too few held-out rows.
  static Result<std::shared_ptr<PreparedReference>> Make(const Profile& profile);

  const RowTable& held_out() const { return *held_out_; }
  const JudgeReference& reference() const { return *reference_; }
  /// The same rows and more of thin classes: what classes look like within.
  const RowTable& class_rows() const { return *class_rows_; }
  const JudgeReference& class_reference() const { return *class_reference_; }
  std::uint64_t seed() const { return seed_; }
  std::uint64_t errors() const { return errors_; }  // Of the held-out rows.

  /// Share of rows that are unlike any row of the profile, training rows included: the nearest (in
  /// the whitened embedding) is further away than for 95 of 100 of the profile's own rows, and so
  /// it is measured by how far that one's own nearest is (the nearest neighbour description of Tax,
  /// Duin 1998, which does not mind that a condition of which few rows are known lies thin). A
  /// model made from several conditions knows each of them, in whatever mixture they come. 1 where
  /// there are no embeddings to tell by. O(rows x profile's rows x numbers).
  double UnknownShare(const PlacedRows& placed) const;

  /// Thresholds for windows of `rows`: those of the largest size on a grid that is not above, as a
  /// smaller window varies more. nullptr: fewer than kLeastRows.
  std::shared_ptr<const ThresholdTable> Thresholds(std::size_t rows);
  static constexpr std::size_t kLeastRows = 20;

 private:
  PreparedReference() = default;

  std::unique_ptr<const RowTable> held_out_;
  std::unique_ptr<const JudgeReference> reference_;
  std::unique_ptr<const RowTable> class_rows_;
  std::unique_ptr<const JudgeReference> class_reference_;
  std::uint64_t seed_ = 0;
  std::uint64_t errors_ = 0;
  std::vector<double> known_;            // Whitened embeddings of all the profile's rows.
  std::vector<double> known_distances_;  // To the nearest other one, squared.
  double usual_distance_ = 0;            // Their 0.95 quantile, ...
  double usual_ratio_ = 0;               // ... and that of the ratio to the nearest one's own.
  std::mutex mutex_;  // Guards tables_; held while one is made, so that it is made once.
  std::map<std::size_t, std::shared_ptr<const ThresholdTable>> tables_;
};

/// Something that hardly ever happens in the reference, counted.
struct RareCount {
  FindingKind kind = FindingKind::kDataQuality;
  std::string subject;  // "missing|unknown|range|new <feature>", "quality".
  std::uint64_t hits = 0;
  std::uint64_t rows = 0;
  std::uint64_t reference_hits = 0;
  std::uint64_t reference_rows = 0;
};

/// All that is said of one window.
struct Judgement {
  std::vector<Finding> findings;
  /// Beside findings: standard deviations above the usual; 0 for those outside the drift family.
  std::vector<double> standardized;
  /// The largest of them and the two levels; 0 without thresholds.
  double strongest = 0;
  std::size_t strongest_finding = 0;
  double pair_level = 0;
  double single_level = 0;
  std::vector<RareCount> rare;
  double rare_level = 0;  // p-value at which one of them fires.
  std::size_t sound_rows = 0;
  std::size_t flawed_rows = 0;  // Break a quality rule; drift is judged without them.
  std::optional<double> expected_accuracy;
  double expected_low = 0;
  double expected_high = 0;
  double reference_accuracy = 0;
  std::uint64_t reference_errors = 0;
  std::uint64_t reference_rows = 0;
  double unknown_share = 1;      // PreparedReference::UnknownShare of the sound rows.
  double loss_standardized = 0;  // Of the expected accuracy's finding.
  std::string not_applicable;    // Why drift was not judged; empty: it was.

  /// Whether the model knows such inputs, whatever their mixture, and expects no loss that matters.
  /// To resolve an alert it is asked for more certainty than to go on without one.
  bool Known() const { return KnownBut(kMostUnknown); }
  bool SurelyKnown() const { return KnownBut(kMostUnknown / 2); }
  bool KnownBut(double most_unknown) const {
    const double loss = reference_accuracy - expected_accuracy.value_or(0);
    return unknown_share < most_unknown && (loss_standardized <= pair_level || loss < kSmallLoss);
  }
  static constexpr double kMostUnknown = 0.25;
  static constexpr double kSmallLoss = 0.05;
  double PairShare() const { return pair_level > 0 ? strongest / pair_level : 0; }
  double SingleShare() const { return single_level > 0 ? strongest / single_level : 0; }
};

/// Holds windows against the profile of their model: one number for the whole family of drift
/// statistics (see ThresholdTable), exact predictive tests for what is rare, and the expected
/// accuracy. Deterministic, so that a window judged again, or by another copy of the service, is
/// judged alike. Keeps the references of the last models. Thread-safe.
class WindowJudge {
 public:
  /// kFailedPrecondition: the profile cannot be judged by.
  Result<std::shared_ptr<PreparedReference>> Prepare(const std::string& model_version_id,
                                                     const Profile& profile);

  /// `kinds` is how many kinds of windows ("count", "time") share the budget. The window of a slice
  /// has kSliceWindows of it, and nothing for what is rare. Without a profile only what needs none
  /// is judged. Never fails for what a window holds.
  Judgement Judge(const WindowRows& window, const Profile* profile, const MonitoringPolicy& policy,
                  int kinds = 1);

 private:
  static constexpr std::size_t kMostReferences = 16;

  std::mutex mutex_;  // Guards prepared_ and order_.
  std::map<std::string, std::shared_ptr<PreparedReference>> prepared_;
  std::vector<std::string> order_;  // Least recently made first.
};

}  // namespace tidewheel::monitoring
