#include "tidewheel/stats/boosted_trees.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> Check(MatrixView<double> features, std::span<const double> targets,
                   const BoostedTreesOptions& options) {
  if (!features.Fits() || features.rows == 0 || features.columns == 0) {
    return Bad("features are not a matrix with rows and columns");
  }
  if (targets.size() != features.rows) {
    return Bad(std::to_string(targets.size()) + " targets for " + std::to_string(features.rows) +
               " rows");
  }
  for (std::size_t i = 0; i < features.values.size(); ++i) {
    if (!std::isfinite(features.values[i])) {
      return Bad("row " + std::to_string(i / features.columns) + ", column " +
                 std::to_string(i % features.columns) + ": the feature is not a finite number");
    }
  }
  for (std::size_t row = 0; row < targets.size(); ++row) {
    if (!std::isfinite(targets[row])) {
      return Bad("row " + std::to_string(row) + ": the target is not a finite number");
    }
  }
  if (options.rounds < 0 || options.depth < 1 || options.depth > 10 || options.min_leaf < 1) {
    return Bad("trees have a depth of 1 to 10, leaves at least 1 row, and rounds are not negative");
  }
  if (!(options.learning_rate > 0 && options.learning_rate <= 1)) {
    return Bad("the learning rate is above 0 and at most 1");
  }
  if (options.bins < 2 || options.bins > 1024) return Bad("bins are 2 to 1024");
  if (!(options.held_out >= 0 && options.held_out < 1)) {
    return Bad("the held-out share is at least 0 and below 1");
  }
  return {};
}

/// Every number as the index of the stretch between two places it may be split at.
struct BinnedFeatures {
  BinnedFeatures(MatrixView<double> features, int bins)
      : rows(features.rows), bin(features.values.size()), places(features.columns) {
    std::vector<double> sorted(rows);
    for (std::size_t column = 0; column < features.columns; ++column) {
      for (std::size_t row = 0; row < rows; ++row) sorted[row] = features.Row(row)[column];
      std::sort(sorted.begin(), sorted.end());
      auto& at = places[column];
      const auto parts = static_cast<std::size_t>(bins);
      for (std::size_t part = 1; part < parts; ++part) {
        const double below = sorted[part * (rows - 1) / parts];
        const auto above = std::upper_bound(sorted.begin(), sorted.end(), below);
        if (above == sorted.end()) break;
        const double place = below + (*above - below) / 2;
        // Rounding may reach the number above, which must stay on the right.
        at.push_back(place < *above ? place : below);
      }
      at.erase(std::unique(at.begin(), at.end()), at.end());
      for (std::size_t row = 0; row < rows; ++row) {
        const double value = features.Row(row)[column];
        bin[column * rows + row] =
            static_cast<std::uint16_t>(std::lower_bound(at.begin(), at.end(), value) - at.begin());
      }
    }
  }

  std::size_t rows;
  std::vector<std::uint16_t> bin;           // Column by column.
  std::vector<std::vector<double>> places;  // Per column, increasing.
};

}  // namespace

/// Grows trees on the rows it is given, and tells what each adds to every row.
class TreeGrower {
 public:
  TreeGrower(const BinnedFeatures& features, std::span<const double> targets,
             const BoostedTreesOptions& options)
      : features_(features), options_(options), residual_(targets.begin(), targets.end()) {}

  /// Starts with the mean of the targets of `rows`.
  BoostedTrees Start(std::span<const std::uint32_t> rows) {
    BoostedTrees trees;
    trees.columns_ = features_.places.size();
    double sum = 0;
    for (const std::uint32_t row : rows) sum += residual_[row];
    trees.mean_ = sum / static_cast<double>(rows.size());
    for (double& residual : residual_) residual -= trees.mean_;
    return trees;
  }

  /// Adds a tree grown on `rows` (whose order it changes); all residuals follow. False, and no
  /// tree, if nothing is worth a split.
  bool Add(std::vector<std::uint32_t>& rows, BoostedTrees& trees) {
    const auto root = static_cast<std::int32_t>(trees.nodes_.size());
    Grow(rows, options_.depth, trees);
    if (trees.nodes_[static_cast<std::size_t>(root)].column < 0) {
      trees.nodes_.resize(static_cast<std::size_t>(root));
      return false;
    }
    trees.roots_.push_back(root);
    for (std::size_t row = 0; row < residual_.size(); ++row) {
      auto node = static_cast<std::size_t>(root);
      while (trees.nodes_[node].column >= 0) {
        const auto& at = trees.nodes_[node];
        const auto column = static_cast<std::size_t>(at.column);
        const bool left = features_.bin[column * features_.rows + row] <= last_left_[node];
        node = left ? node + 1 : static_cast<std::size_t>(at.right);
      }
      residual_[row] -= trees.nodes_[node].value;
    }
    return true;
  }

  double SquaredError(std::span<const std::uint32_t> rows) const {
    double sum = 0;
    for (const std::uint32_t row : rows) sum += residual_[row] * residual_[row];
    return sum;
  }

 private:
  struct Split {
    double gain = 0;
    std::size_t column = 0;
    std::size_t bin = 0;  // The last one that goes left.
  };

  void Grow(std::span<std::uint32_t> rows, int depth, BoostedTrees& trees) {
    const std::size_t node = trees.nodes_.size();
    trees.nodes_.emplace_back();
    last_left_.resize(node + 1);
    double sum = 0;
    for (const std::uint32_t row : rows) sum += residual_[row];
    const Split split = depth > 0 ? BestSplit(rows, sum) : Split{};
    if (!(split.gain > 0)) {
      trees.nodes_[node].value = options_.learning_rate * sum / static_cast<double>(rows.size());
      return;
    }
    const auto bins = std::span(features_.bin).subspan(split.column * features_.rows);
    const auto middle = std::stable_partition(
        rows.begin(), rows.end(), [&](std::uint32_t row) { return bins[row] <= split.bin; });
    const auto left = static_cast<std::size_t>(middle - rows.begin());
    trees.nodes_[node].column = static_cast<std::int32_t>(split.column);
    trees.nodes_[node].value = features_.places[split.column][split.bin];
    last_left_[node] = split.bin;
    Grow(rows.first(left), depth - 1, trees);
    trees.nodes_[node].right = static_cast<std::int32_t>(trees.nodes_.size());
    Grow(rows.subspan(left), depth - 1, trees);
  }

  Split BestSplit(std::span<const std::uint32_t> rows, double sum) {
    Split best;
    const auto all = static_cast<double>(rows.size());
    if (rows.size() < 2 * options_.min_leaf) return best;
    for (std::size_t column = 0; column < features_.places.size(); ++column) {
      const std::size_t places = features_.places[column].size();
      if (places == 0) continue;  // A constant column.
      sums_.assign(places + 1, 0);
      counts_.assign(places + 1, 0);
      const auto bins = std::span(features_.bin).subspan(column * features_.rows);
      for (const std::uint32_t row : rows) {
        sums_[bins[row]] += residual_[row];
        ++counts_[bins[row]];
      }
      double left_sum = 0;
      std::size_t left = 0;
      for (std::size_t bin = 0; bin < places; ++bin) {
        left_sum += sums_[bin];
        left += counts_[bin];
        if (left < options_.min_leaf) continue;
        if (rows.size() - left < options_.min_leaf) break;
        const double right_sum = sum - left_sum;
        const auto n = static_cast<double>(left);
        const double gain =
            left_sum * left_sum / n + right_sum * right_sum / (all - n) - sum * sum / all;
        // Less than rounding could invent is no gain.
        if (gain > best.gain * (1 + 1e-12) && gain > 1e-12 * sum * sum / all) {
          best = {gain, column, bin};
        }
      }
    }
    return best;
  }

  const BinnedFeatures& features_;
  const BoostedTreesOptions& options_;
  std::vector<double> residual_;
  std::vector<std::size_t> last_left_;  // Per node: the last bin that goes left.
  std::vector<double> sums_;
  std::vector<std::size_t> counts_;
};

Result<BoostedTrees> BoostedTrees::Fit(MatrixView<double> features, std::span<const double> targets,
                                       const BoostedTreesOptions& options) {
  if (const auto good = Check(features, targets, options); !good) return good.error();
  const BinnedFeatures binned(features, options.bins);
  std::vector<std::uint32_t> rows(features.rows);
  std::iota(rows.begin(), rows.end(), 0U);
  int rounds = options.rounds;

  const auto held = static_cast<std::size_t>(options.held_out * static_cast<double>(rows.size()));
  if (held >= 1) {
    Random random(options.seed);
    std::vector<std::uint32_t> shuffled = rows;
    for (std::size_t i = 0; i < held; ++i) {
      std::swap(shuffled[i], shuffled[i + random.Below(shuffled.size() - i)]);
    }
    const auto judges = std::span<const std::uint32_t>(shuffled).first(held);
    std::vector<std::uint32_t> kept(shuffled.begin() + static_cast<std::ptrdiff_t>(held),
                                    shuffled.end());
    std::sort(kept.begin(), kept.end());
    TreeGrower grower(binned, targets, options);
    BoostedTrees trees = grower.Start(kept);
    double least = grower.SquaredError(judges);
    rounds = 0;
    for (int round = 1; round <= options.rounds && grower.Add(kept, trees); ++round) {
      const double error = grower.SquaredError(judges);
      if (error < least) {
        least = error;
        rounds = round;
      }
    }
  }
  TreeGrower grower(binned, targets, options);
  BoostedTrees trees = grower.Start(rows);
  for (int round = 0; round < rounds && grower.Add(rows, trees); ++round) {
  }
  return trees;
}

double BoostedTrees::operator()(std::span<const double> row) const {
  double sum = mean_;
  for (const std::int32_t root : roots_) {
    auto node = static_cast<std::size_t>(root);
    while (nodes_[node].column >= 0) {
      const bool left = row[static_cast<std::size_t>(nodes_[node].column)] <= nodes_[node].value;
      node = left ? node + 1 : static_cast<std::size_t>(nodes_[node].right);
    }
    sum += nodes_[node].value;
  }
  return sum;
}

}  // namespace tidewheel::stats
