#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/labels/confident_joint.h"
#include "tidewheel/labels/label_error_scores.h"

namespace tidewheel::labels {

namespace internal {
template <typename T>
struct ScannedLabels;
}

/// Ways to choose the examples whose label is suspected. Except for the last, none takes one whose
/// given class is the model's own answer (within 1e-6).
enum class LabelErrorMethod {
  kPruneByNoiseRate,  // Per cell of the joint, its many largest p(voted) - p(given).
  kPruneByClass,  // Per given class, as many as its row has off the diagonal, smallest p(given).
  kBoth,          // What both of these take.
  kConfidentLearning,    // Counted off the diagonal of the joint.
  kPredictedNotGiven,    // The most probable class is not the given one.
  kLowNormalizedMargin,  // As many as kConfidentLearning, of the lowest normalised margin.
  kLowSelfConfidence,    // The same of the lowest p(given), whatever the answer.
};
inline constexpr std::array kLabelErrorMethods = {
    LabelErrorMethod::kPruneByNoiseRate,
    LabelErrorMethod::kPruneByClass,
    LabelErrorMethod::kBoth,
    LabelErrorMethod::kConfidentLearning,
    LabelErrorMethod::kPredictedNotGiven,
    LabelErrorMethod::kLowNormalizedMargin,
    LabelErrorMethod::kLowSelfConfidence,
};

/// "prune_by_noise_rate" and so on.
std::string_view Name(LabelErrorMethod method);

/// Values that were a little outside [0, 1] and were taken as the nearest end.
struct ClippedValues {
  std::uint64_t values = 0;
  double farthest = 0;  // At most 1e-3.
};

struct ScanOptions {
  VoteRule votes = VoteRule::kLargestConfident;
  std::uint32_t threads = 1;
};

struct IssueOptions {
  /// A class keeps at least so many examples that are not suspected, under every method; a class
  /// that has no more than these is left alone.
  std::uint64_t keep_per_class = 5;
  std::uint32_t threads = 1;
};

struct LabelIssues {
  std::vector<std::uint32_t> rows;  // Ascending.
  std::uint64_t spared = 0;         // Not suspected only because their class must keep them.
};

/// Issues with the most suspicious first.
struct RankedIssues {
  std::vector<std::uint32_t> rows;
  std::vector<double> scores;  // Of each, ascending.
};

/// Confident learning (Northcutt, Jiang, Chuang, JAIR 2021) over one reading of N x K out-of-sample
/// probabilities and N given labels: thresholds, the confident joint, and from these the issues of
/// any method. T is float or double; results do not depend on the number of threads, and the joint
/// not on the order of the examples.
///
/// Equal keys at a cut-off or in a ranking: the example with the smaller second largest probability
/// comes first, then the smaller row.
///
/// Thread-safe once made, cheap to copy. Keeps the views: who made it keeps probabilities and
/// labels alive and unchanged. Beside them it needs 16 bytes (double: 24) for each example whose
/// given class is not the model's answer, twice while reading, and the joint's cells that are not
/// zero.
template <typename T>
class LabelErrorScan {
 public:
  /// Two passes: one number a row for the thresholds, then every number once. O(N x K).
  /// kInvalidArgument: no examples, fewer than two classes, fewer examples than classes, N that do
  /// not match, a label out of range (with its row), a probability that is not finite or lies
  /// outside [0, 1] by more than 1e-3 (with row and class), a row that does not sum to 1 within
  /// 1e-3. kFailedPrecondition: all labels are one class.
  static Result<LabelErrorScan> Read(MatrixView<T> probabilities,
                                     std::span<const std::int32_t> labels,
                                     const ScanOptions& options = {});

  const ConfidentJoint& joint() const;
  const ClippedValues& clipped() const;
  MatrixView<T> probabilities() const;
  std::span<const std::int32_t> labels() const;

  /// The suspected examples. Reads the rows of examples with another answer than their label again,
  /// and seldom more. O(N + issues x K), plus for kPruneByNoiseRate O(cells of a given class x its
  /// suspects).
  LabelIssues Find(LabelErrorMethod method, const IssueOptions& options = {}) const;

  /// Rows in 0 .. N, any of them, by score. O(rows x K).
  RankedIssues Rank(std::span<const std::uint32_t> rows, LabelScore score) const;

 private:
  explicit LabelErrorScan(std::shared_ptr<const internal::ScannedLabels<T>> scanned)
      : scanned_(std::move(scanned)) {}

  std::shared_ptr<const internal::ScannedLabels<T>> scanned_;
};

struct LabelErrorOptions {
  LabelErrorMethod method = LabelErrorMethod::kPruneByNoiseRate;
  LabelScore rank_by = LabelScore::kNormalizedMargin;
  VoteRule votes = VoteRule::kLargestConfident;
  std::uint64_t keep_per_class = 5;
  std::uint32_t threads = 1;
};

struct LabelErrors {
  RankedIssues issues;
  std::uint64_t spared = 0;
  ClippedValues clipped;
  ConfidentJoint joint;
};

/// All in one: scan, find, rank. Errors as LabelErrorScan::Read.
template <typename T>
Result<LabelErrors> FindLabelErrors(MatrixView<T> probabilities,
                                    std::span<const std::int32_t> labels,
                                    const LabelErrorOptions& options = {});

extern template class LabelErrorScan<float>;
extern template class LabelErrorScan<double>;
extern template Result<LabelErrors> FindLabelErrors(MatrixView<float>,
                                                    std::span<const std::int32_t>,
                                                    const LabelErrorOptions&);
extern template Result<LabelErrors> FindLabelErrors(MatrixView<double>,
                                                    std::span<const std::int32_t>,
                                                    const LabelErrorOptions&);

}  // namespace tidewheel::labels
