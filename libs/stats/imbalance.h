#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// Figures that see the rare class, of a confusion matrix of counts, K x K, row by row: given
/// class, then predicted class. Kappa and Matthews do not change when the two change places.
/// O(K^2). kInvalidArgument: fewer than 2 classes, a matrix that is not K x K, no samples.

/// Mean recall of the classes that have samples.
Result<double> BalancedAccuracy(std::span<const std::uint64_t> confusion, std::size_t classes);

/// Mean F1 of the classes that have samples or predictions.
Result<double> MacroF1(std::span<const std::uint64_t> confusion, std::size_t classes);

/// The K-class correlation of Matthews (1975) and Gorodkin (2004), -1 to 1; 0 where one side has
/// one class only.
Result<double> MatthewsCorrelation(std::span<const std::uint64_t> confusion, std::size_t classes);

enum class KappaWeights { kNone, kLinear, kQuadratic };

/// Agreement beyond chance (Cohen 1960; weighted by the distance of the classes' indices: Cohen
/// 1968). kFailedPrecondition also: both sides have one and the same class only, chance is certain.
Result<double> CohenKappa(std::span<const std::uint64_t> confusion, std::size_t classes,
                          KappaWeights weights = KappaWeights::kNone);

/// Accuracy beside what it must be read with.
struct AccuracyInContext {
  double accuracy = 0;
  double constant_answer = 0;  // The accuracy of always answering the commonest class.
  double balanced_accuracy = 0;
  double macro_f1 = 0;
  double matthews = 0;
  std::optional<double> kappa;  // None where chance is certain.
  std::size_t worst_class = 0;  // Of the lowest recall among classes with samples, the first.
  double worst_recall = 0;
};

/// How well the scores of a class rank its rows first, beside what chance would give.
struct RankingInContext {
  double roc_auc = 0;           // Chance: 0.5, whatever the class's share.
  double pr_auc = 0;            // Average precision. Chance: the prevalence.
  double prevalence = 0;        // The class's share of the rows.
  std::uint64_t positives = 0;  // Its rows.
};

/// What is said of a classifier on imbalanced data. There is no way to ask it for the accuracy
/// alone, nor for the area under the ROC curve alone.
class ImbalanceReport {
 public:
  /// Of labels, predictions and (optionally, else without columns) rows x K scores, of which only
  /// the order within a column matters. O(N K log N). kInvalidArgument: no rows, classes
  /// outside 2..10,000, different lengths, a label or prediction that is not in 0..K-1, a score
  /// that is not finite (each with its row).
  static Result<ImbalanceReport> Of(std::span<const std::int32_t> labels,
                                    std::span<const std::int32_t> predicted, std::size_t classes,
                                    MatrixView<double> scores = {});

  const AccuracyInContext& accuracy() const { return accuracy_; }

  /// kFailedPrecondition: no scores were given, or the class has no rows or all of them.
  /// kInvalidArgument: no such class.
  Result<RankingInContext> Ranking(std::size_t of_class) const;

  /// Largest over smallest class; infinite where a class has no rows.
  double imbalance() const { return imbalance_; }
  const std::vector<double>& recall() const { return recall_; }  // Per class; 0 without rows.
  const std::vector<std::uint64_t>& support() const { return support_; }      // Rows per class.
  const std::vector<std::uint64_t>& confusion() const { return confusion_; }  // K x K.

  /// "accuracy 0.993 (always the commonest class: 0.609), balanced 0.961, macro F1 0.97, Matthews
  /// 0.98; lowest recall 0.889, class 1"
  std::string Describe() const;

 private:
  ImbalanceReport() = default;

  AccuracyInContext accuracy_;
  double imbalance_ = 0;
  std::vector<double> recall_;
  std::vector<std::uint64_t> support_;
  std::vector<std::uint64_t> confusion_;
  std::vector<std::optional<RankingInContext>> rankings_;
  bool scored_ = false;
};

}  // namespace tidewheel::stats
