#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/internal/samples.h"
#include "tidewheel/stats/many_features.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::stats {
namespace {

constexpr std::size_t kRowsForEachFold = 10;

/// Fold of each row, as equally large as possible, by chance.
std::vector<std::size_t> FoldsOf(std::size_t rows, std::size_t folds, Random& random) {
  std::vector<std::size_t> fold(rows);
  for (std::size_t i = 0; i < rows; ++i) fold[i] = i % folds;
  for (std::size_t i = rows; i > 1; --i) std::swap(fold[i - 1], fold[random.Below(i)]);
  return fold;
}

/// P(a score of the second is above one of the first), ties half.
double AreaOf(const std::vector<double>& first, const std::vector<double>& second) {
  double below = 0;
  double area = 0;
  internal::VisitDistinct(internal::SortedWithGuard(std::span<const double>(first)),
                          internal::SortedWithGuard(std::span<const double>(second)),
                          [&](double, std::size_t of_first, std::size_t of_second, double) {
                            const auto tied = static_cast<double>(of_first);
                            area += static_cast<double>(of_second) * (below + tied / 2);
                            below += tied;
                          });
  return area / (static_cast<double>(first.size()) * static_cast<double>(second.size()));
}

/// The areas that the observed one is no more than z deviations from, each with its own variance
/// (Hanley, McNeil 1982, with the mean of the sizes in place of both).
Interval AreaInterval(double area, double n, double m, double confidence) {
  const double z = NormalQuantile(0.5 + confidence / 2);
  const double mean_size = (n + m) / 2;
  const auto distance = [&](double theta) {
    const double variance =
        theta * (1 - theta) *
        (1 + (mean_size - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta))) / (n * m);
    return std::abs(area - theta) - z * std::sqrt(variance);
  };
  const auto boundary = [&](double outside) {
    double inside = area;
    for (int step = 0; step < 60; ++step) {
      const double middle = (inside + outside) / 2;
      (distance(middle) > 0 ? outside : inside) = middle;
    }
    return inside;
  };
  return {area > 0 ? boundary(0) : 0, area < 1 ? boundary(1) : 1};
}

}  // namespace

Result<DomainClassifierTest> DomainClassifier(MatrixView<double> reference,
                                              MatrixView<double> current,
                                              const DomainClassifierOptions& options) {
  if (const auto good = internal::CheckMatrices(reference, current); !good) return good.error();
  if (options.folds < 2 || options.folds > 100) return internal::Invalid("folds are 2 to 100");
  if (!(options.confidence > 0 && options.confidence < 1)) {
    return internal::Invalid("confidence is above 0 and below 1");
  }
  const auto folds = static_cast<std::size_t>(options.folds);
  const std::size_t fewest = std::min(reference.rows, current.rows);
  if (fewest < kRowsForEachFold * folds) {
    return internal::NotApplicable("a sample of " + std::to_string(fewest) + " rows is below the " +
                                   std::to_string(kRowsForEachFold * folds) + " that " +
                                   std::to_string(folds) + " folds need");
  }

  Random random(options.seed);
  const auto reference_fold = FoldsOf(reference.rows, folds, random);
  const auto current_fold = FoldsOf(current.rows, folds, random);
  double area = 0;
  double weights = 0;
  std::vector<double> features;
  std::vector<double> targets;
  for (std::size_t fold = 0; fold < folds; ++fold) {
    features.clear();
    targets.clear();
    const auto add = [&](const MatrixView<double>& rows, const std::vector<std::size_t>& of,
                         double target) {
      for (std::size_t row = 0; row < rows.rows; ++row) {
        if (of[row] == fold) continue;
        features.insert(features.end(), rows.Row(row).begin(), rows.Row(row).end());
        targets.push_back(target);
      }
    };
    add(reference, reference_fold, 0);
    add(current, current_fold, 1);
    BoostedTreesOptions trees = options.trees;
    trees.seed = options.trees.seed + fold;
    const auto classifier =
        BoostedTrees::Fit({features, targets.size(), reference.columns}, targets, trees);
    if (!classifier) return classifier.error();

    const auto scores = [&](const MatrixView<double>& rows, const std::vector<std::size_t>& of) {
      std::vector<double> made;
      for (std::size_t row = 0; row < rows.rows; ++row) {
        if (of[row] == fold) made.push_back((*classifier)(rows.Row(row)));
      }
      return made;
    };
    const auto of_reference = scores(reference, reference_fold);
    const auto of_current = scores(current, current_fold);
    const double pairs =
        static_cast<double>(of_reference.size()) * static_cast<double>(of_current.size());
    area += pairs * AreaOf(of_reference, of_current);
    weights += pairs;
  }

  const auto n = static_cast<double>(reference.rows);
  const auto m = static_cast<double>(current.rows);
  DomainClassifierTest test;
  test.auc.value = area / weights;
  test.auc.interval = AreaInterval(test.auc.value, n, m, options.confidence);
  const double deviation = std::sqrt((n + m + 1) / (12 * n * m));
  test.p_value = NormalCdf((0.5 - test.auc.value) / deviation);
  return test;
}

}  // namespace tidewheel::stats
