#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/profile.h"
#include "tidewheel/monitoring/domain/window_rows.h"
#include "tidewheel/stats/isotonic.h"

namespace tidewheel::monitoring {

/// Rows as the statistics read them: column by column, whatever they were measured on.
struct RowTable {
  std::size_t rows = 0;
  std::size_t classes = 0;
  std::vector<std::vector<double>> features;  // By feature; NaN where missing.
  std::size_t embedding_numbers = 0;
  std::vector<double> embeddings;        // Row by row; empty where the rows have none.
  std::vector<double> confidence;        // Top probability.
  std::vector<std::uint32_t> predicted;  // Class of the top probability.
  std::vector<std::uint32_t> given;      // Of a reference only.
};

/// The held-out rows of a profile, on which its model was not trained. kFailedPrecondition: fewer
/// than kLeastReferenceRows.
inline constexpr std::size_t kLeastReferenceRows = 30;
Result<RowTable> HeldOutRows(const Profile& profile);
/// The same with the training rows of those classes of which fewer than kThinClass are held out:
/// what a class looks like within is not known from three rows, and a model remembers its training
/// rows less than it knows the class.
inline constexpr std::size_t kThinClass = 30;
RowTable WithThinClasses(const Profile& profile, RowTable held_out);
/// `rows` as the profile sees them: an embedding of another length counts as none.
RowTable TableOf(std::span<const ObservedRow* const> rows, const Profile& profile);
/// The chosen rows, repeats repeated.
RowTable Subset(const RowTable& table, std::span<const std::uint32_t> chosen);

/// One of the statistics that are evaluated for each window. All are larger where the window
/// differs more, and close to normal without a difference.
struct Statistic {
  enum class Kind : std::uint8_t {
    kFeature,          // Kolmogorov-Smirnov distance of a feature's values.
    kMeanShift,        // Mahalanobis length of the difference of the mean embeddings.
    kDistance,         // Kolmogorov-Smirnov distance of the embeddings' own distances.
    kDiscrepancy,      // Maximum mean discrepancy of the embeddings (Gretton et al. 2012).
    kConfidence,       // Kolmogorov-Smirnov distance of the top probabilities.
    kPredictedShares,  // Total variation of the predicted classes' shares.
    kExpectedLoss,     // Reference's accuracy less the window's expected one (CBPE).
  };
  Kind kind = Kind::kFeature;
  std::size_t feature = 0;  // Of kFeature.
};

/// Rows seen from a reference: what every statistic needs of a row, worked out once.
struct PlacedRows {
  std::size_t rows = 0;
  struct Column {
    std::vector<std::uint32_t> rank;  // Order of the row's value among these rows; kMissing.
    std::vector<double> below;        // Share of the reference below the value, by rank ...
    std::vector<double> up_to;        // ... and at or below it.
  };
  static constexpr std::uint32_t kMissing = ~std::uint32_t{0};
  std::vector<Column> columns;   // One for each statistic that is a KS distance, in their order.
  std::vector<double> whitened;  // Rows x embedding numbers: covariance of the reference is unit.
  std::vector<double> distance;  // Squared Mahalanobis distances to the reference's mean.
  std::vector<double> waves;     // Rows x kWaves: random Fourier features of `whitened`.
  std::vector<double> expected;  // Probability of being right, calibrated on the reference.
  std::vector<std::uint32_t> predicted;
};

/// Numbers that stand for the Gaussian kernel: the mean of as many random waves differs between two
/// samples by their discrepancy, at a cost that is linear in the rows (Rahimi, Recht 2007).
inline constexpr std::size_t kWaves = 64;

/// A sample that windows are held against. Each row has a weight, so that the same rows can stand
/// for traffic with other shares of classes. Immutable; any number of threads may ask it.
class JudgeReference {
 public:
  /// `indices` of the table's rows; `weights` by given class, empty: all 1. Features without two
  /// values, and embeddings that the table does not have, give no statistic.
  JudgeReference(const RowTable& table, std::span<const std::uint32_t> indices,
                 std::span<const double> class_weights = {});

  /// The same rows with other weights; what depends on them alone is worked out again.
  JudgeReference Reweighted(std::span<const double> class_weights) const;

  /// The statistics, always in the same order for the same features.
  const std::vector<Statistic>& statistics() const { return statistics_; }
  double accuracy() const { return accuracy_; }  // Expected of the rows themselves, weighted.
  std::size_t rows() const { return indices_.size(); }
  /// Counts of given (row) and predicted class, without weights.
  const std::vector<std::uint64_t>& confusion() const { return confusion_; }
  /// What the calibration makes of a confidence, and how sure the reference is of its accuracy.
  double ExpectedRight(double confidence) const {
    return calibration_.at.empty() ? confidence : calibration_(confidence);
  }
  double AccuracyVariance() const;
  /// Of the embeddings' waves, weighted; empty without embeddings.
  const std::vector<double>& mean_wave() const { return mean_wave_; }
  /// Share of the reference's own rows whose distance is above; of the 0.99 quantile 0.01.
  double distance_quantile(double share) const;

  PlacedRows Place(const RowTable& table) const;
  /// One number for each of statistics(), of the rows that `chosen` names (repeats count).
  /// O(chosen log chosen) for each. `out` has as many places.
  void Evaluate(const PlacedRows& placed, std::span<const std::uint32_t> chosen,
                std::span<double> out) const;

 private:
  struct SortedColumn {
    std::vector<double> values;         // Ascending.
    std::vector<std::uint32_t> source;  // Position in indices_.
    std::vector<double> cumulated;      // Shares up to and including each; one more, from 0.
  };

  void Weigh(std::span<const double> class_weights);
  std::vector<double> WavesOf(std::span<const double> whitened, std::size_t rows) const;
  PlacedRows::Column PlaceColumn(const SortedColumn& column, std::span<const double> values) const;

  const RowTable* table_;
  std::vector<std::uint32_t> indices_;
  std::vector<Statistic> statistics_;
  std::vector<SortedColumn> columns_;  // Of the KS statistics, in their order.
  std::vector<double> weights_;        // Of the rows; sum to 1.
  std::vector<double> centre_;         // Of the embeddings, weighted.
  std::vector<double> frequencies_;    // kWaves / 2 x embedding numbers: the kernel's spectrum.
  std::vector<double> own_waves_;
  std::vector<double> mean_wave_;  // Weighted.
  std::vector<double> middle_;     // The same without weights: distances are from here.
  std::vector<double> factor_;     // Lower Cholesky factor of the covariance.
  std::vector<double> own_whitened_;
  std::vector<double> own_expected_;
  std::vector<double> predicted_shares_;
  std::vector<std::uint64_t> confusion_;
  stats::IsotonicFunction calibration_;
  double accuracy_ = 0;
};

}  // namespace tidewheel::monitoring
