#include "tidewheel/stats/predictive_power.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

constexpr std::size_t kMostClasses = 1'000'000;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> CheckInput(const FeatureColumn& feature, std::span<const std::int32_t> labels,
                        std::size_t classes, const PredictivePowerOptions& options) {
  const std::string column = "column \"" + feature.name + "\"";
  if (feature.numeric.empty() == feature.nominal.empty()) {
    return Bad(column + " needs either numbers or codes");
  }
  if (feature.rows() != labels.size()) {
    return Bad(column + " has " + std::to_string(feature.rows()) + " rows for " +
               std::to_string(labels.size()) + " labels");
  }
  if (classes > kMostClasses) {
    return Bad("at most " + std::to_string(kMostClasses) + " classes, not " +
               std::to_string(classes));
  }
  if (options.folds < 2 || options.max_leaves < 1 || options.min_leaf < 1) {
    return Bad("folds are at least 2, leaves and rows of a leaf at least 1");
  }
  for (std::size_t row = 0; row < labels.size(); ++row) {
    if (labels[row] < 0 || static_cast<std::size_t>(labels[row]) >= classes) {
      return Bad("row " + std::to_string(row) + ": label " + std::to_string(labels[row]) +
                 " is not in 0.." + std::to_string(classes) + " - 1");
    }
    if (!feature.numeric.empty() && !std::isfinite(feature.numeric[row])) {
      return Bad(column + ", row " + std::to_string(row) + " is not finite");
    }
  }
  if (labels.size() < options.folds) {
    return Error{ErrorCode::kFailedPrecondition, std::to_string(labels.size()) + " rows make no " +
                                                     std::to_string(options.folds) + " folds"};
  }
  if (std::all_of(labels.begin(), labels.end(), [&](auto l) { return l == labels[0]; })) {
    return Error{ErrorCode::kFailedPrecondition,
                 "not applicable, because all labels are class " + std::to_string(labels[0])};
  }
  return {};
}

/// Fold of each row: the rows of each class are shuffled and dealt out, going on where the class
/// before ended.
std::vector<std::size_t> DealFolds(std::span<const std::int32_t> labels, std::size_t classes,
                                   const PredictivePowerOptions& options) {
  std::vector<std::vector<std::uint32_t>> of_class(classes);
  for (std::uint32_t row = 0; row < labels.size(); ++row) {
    of_class[static_cast<std::size_t>(labels[row])].push_back(row);
  }
  Random random(options.seed);
  std::vector<std::size_t> fold(labels.size());
  std::size_t next = 0;
  for (auto& rows : of_class) {
    for (std::size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[random.Below(i)]);
    for (const std::uint32_t row : rows) fold[row] = next++ % options.folds;
  }
  return fold;
}

using Counts = std::vector<std::uint64_t>;

std::int32_t Commonest(const Counts& counts) {
  return static_cast<std::int32_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
}

/// Rows times (1 - Gini impurity): the sum of squared counts over the count.
double Purity(double squares, double count) { return count > 0 ? squares / count : 0; }

/// A leaf over rows [begin, end) of the sorted column, and the best way to part it.
struct Leaf {
  std::size_t begin = 0;
  std::size_t end = 0;
  double gain = 0;
  std::size_t cut = 0;  // First row of the right part.
};

/// A stretch of numbers and the class it answers with: values up to `up_to`.
struct Step {
  double up_to = 0;
  std::int32_t answer = 0;
};

class Thresholds {
 public:
  Thresholds(std::span<const double> values, std::span<const std::int32_t> labels,
             std::size_t classes, const PredictivePowerOptions& options)
      : values_(values), labels_(labels), classes_(classes), options_(options) {
    std::vector<Leaf> leaves = {Best({0, values.size(), 0, 0})};
    while (leaves.size() < options.max_leaves) {
      const auto best =
          std::max_element(leaves.begin(), leaves.end(), [](const Leaf& a, const Leaf& b) {
            return a.gain != b.gain ? a.gain < b.gain : a.begin > b.begin;
          });
      if (best->gain <= 1e-9) break;
      const Leaf right = Best({best->cut, best->end, 0, 0});
      *best = Best({best->begin, best->cut, 0, 0});
      leaves.push_back(right);
    }
    std::sort(leaves.begin(), leaves.end(),
              [](const Leaf& a, const Leaf& b) { return a.begin < b.begin; });
    for (const Leaf& leaf : leaves) {
      Counts counts(classes, 0);
      for (std::size_t i = leaf.begin; i < leaf.end; ++i) {
        ++counts[static_cast<std::size_t>(labels[i])];
      }
      const double up_to = leaf.end < values.size()
                               ? std::midpoint(values[leaf.end - 1], values[leaf.end])
                               : std::numeric_limits<double>::infinity();
      steps_.push_back({up_to, Commonest(counts)});
    }
  }

  std::int32_t Answer(double value) const {
    const auto step = std::lower_bound(steps_.begin(), steps_.end(), value,
                                       [](const Step& s, double v) { return s.up_to < v; });
    return step->answer;
  }

 private:
  Leaf Best(Leaf leaf) const {
    Counts left(classes_, 0);
    Counts right(classes_, 0);
    for (std::size_t i = leaf.begin; i < leaf.end; ++i) {
      ++right[static_cast<std::size_t>(labels_[i])];
    }
    double left_squares = 0;
    double right_squares = 0;
    for (const std::uint64_t count : right) {
      right_squares += static_cast<double>(count) * static_cast<double>(count);
    }
    const double whole = Purity(right_squares, static_cast<double>(leaf.end - leaf.begin));
    for (std::size_t i = leaf.begin; i + 1 < leaf.end; ++i) {
      const auto label = static_cast<std::size_t>(labels_[i]);
      left_squares += 2 * static_cast<double>(left[label]++) + 1;
      right_squares -= 2 * static_cast<double>(right[label]--) - 1;
      const std::size_t cut = i + 1;
      if (values_[i] == values_[cut] || cut - leaf.begin < options_.min_leaf ||
          leaf.end - cut < options_.min_leaf) {
        continue;
      }
      const double gain = Purity(left_squares, static_cast<double>(cut - leaf.begin)) +
                          Purity(right_squares, static_cast<double>(leaf.end - cut)) - whole;
      if (gain > leaf.gain) {
        leaf.gain = gain;
        leaf.cut = cut;
      }
    }
    return leaf;
  }

  std::span<const double> values_;
  std::span<const std::int32_t> labels_;
  std::size_t classes_;
  PredictivePowerOptions options_;
  std::vector<Step> steps_;
};

/// F1 of each class, weighted by the classes' shares; 0 for a class that was never right.
double WeightedF1(std::span<const std::int32_t> labels, std::span<const std::int32_t> predicted,
                  std::size_t classes) {
  Counts given(classes, 0);
  Counts said(classes, 0);
  Counts right(classes, 0);
  for (std::size_t row = 0; row < labels.size(); ++row) {
    ++given[static_cast<std::size_t>(labels[row])];
    ++said[static_cast<std::size_t>(predicted[row])];
    if (labels[row] == predicted[row]) ++right[static_cast<std::size_t>(labels[row])];
  }
  double sum = 0;
  for (std::size_t k = 0; k < classes; ++k) {
    if (given[k] == 0) continue;
    sum += static_cast<double>(given[k]) * 2 * static_cast<double>(right[k]) /
           static_cast<double>(given[k] + said[k]);
  }
  return sum / static_cast<double>(labels.size());
}

/// Predictions for the rows of each fold by what the other folds say.
std::vector<std::int32_t> PredictHeldOut(const FeatureColumn& feature,
                                         std::span<const std::int32_t> labels, std::size_t classes,
                                         const PredictivePowerOptions& options) {
  const auto folds = DealFolds(labels, classes, options);
  std::vector<std::int32_t> predicted(labels.size());
  if (!feature.numeric.empty()) {
    std::vector<std::uint32_t> order(labels.size());
    std::iota(order.begin(), order.end(), 0U);
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      if (feature.numeric[a] != feature.numeric[b]) return feature.numeric[a] < feature.numeric[b];
      return a < b;
    });
    for (std::size_t fold = 0; fold < options.folds; ++fold) {
      std::vector<double> values;
      std::vector<std::int32_t> own;
      for (const std::uint32_t row : order) {
        if (folds[row] == fold) continue;
        values.push_back(feature.numeric[row]);
        own.push_back(labels[row]);
      }
      const Thresholds tree(values, own, classes, options);
      for (std::size_t row = 0; row < labels.size(); ++row) {
        if (folds[row] == fold) predicted[row] = tree.Answer(feature.numeric[row]);
      }
    }
    return predicted;
  }
  for (std::size_t fold = 0; fold < options.folds; ++fold) {
    std::unordered_map<std::int32_t, std::map<std::int32_t, std::uint64_t>> of_category;
    Counts all(classes, 0);
    for (std::size_t row = 0; row < labels.size(); ++row) {
      if (folds[row] == fold) continue;
      ++of_category[feature.nominal[row]][labels[row]];
      ++all[static_cast<std::size_t>(labels[row])];
    }
    std::unordered_map<std::int32_t, std::int32_t> answers;
    for (const auto& [category, counts] : of_category) {
      const auto best =
          std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) {
            return a.second < b.second;  // The first of equal ones: the smaller class.
          });
      answers[category] = best->first;
    }
    const std::int32_t unknown = Commonest(all);
    for (std::size_t row = 0; row < labels.size(); ++row) {
      if (folds[row] != fold) continue;
      const auto known = answers.find(feature.nominal[row]);
      predicted[row] = known == answers.end() ? unknown : known->second;
    }
  }
  return predicted;
}

}  // namespace

Result<PredictivePower> ScorePredictivePower(const FeatureColumn& feature,
                                             std::span<const std::int32_t> labels,
                                             std::size_t classes,
                                             const PredictivePowerOptions& options) {
  if (const auto good = CheckInput(feature, labels, classes, options); !good) return good.error();
  Counts counts(classes, 0);
  for (const std::int32_t label : labels) ++counts[static_cast<std::size_t>(label)];
  double drawn = 0;
  for (const std::uint64_t count : counts) {
    const double share = static_cast<double>(count) / static_cast<double>(labels.size());
    drawn += share * share;
  }
  const double most = static_cast<double>(*std::max_element(counts.begin(), counts.end())) /
                      static_cast<double>(labels.size());
  PredictivePower power;
  power.baseline = std::max(drawn, most * 2 * most / (1 + most));
  power.f1 = WeightedF1(labels, PredictHeldOut(feature, labels, classes, options), classes);
  power.score = std::max(0.0, (power.f1 - power.baseline) / (1 - power.baseline));
  return power;
}

}  // namespace tidewheel::stats
