#include "tidewheel/stats/ranking.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>

namespace tidewheel::stats {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Error Missing(int label) {
  return {ErrorCode::kFailedPrecondition,
          "not applicable, because no row is of class " + std::to_string(label)};
}

using Figure = Result<double> (*)(std::span<const std::int32_t>, std::span<const double>);

Result<double> Macro(std::span<const std::int32_t> labels, MatrixView<double> scores,
                     Figure figure) {
  if (!scores.Fits() || scores.rows != labels.size()) {
    return Bad(std::to_string(labels.size()) + " labels do not fit scores of " +
               std::to_string(scores.rows) + " x " + std::to_string(scores.columns));
  }
  if (scores.columns < 2) return Bad("a mean over classes needs at least 2 of them");
  for (std::size_t row = 0; row < labels.size(); ++row) {
    if (labels[row] < 0 || static_cast<std::size_t>(labels[row]) >= scores.columns) {
      return Bad("row " + std::to_string(row) + ": label " + std::to_string(labels[row]) +
                 " is not a class below " + std::to_string(scores.columns));
    }
  }
  double sum = 0;
  std::vector<std::int32_t> is_class(labels.size());
  std::vector<double> column(labels.size());
  for (std::size_t k = 0; k < scores.columns; ++k) {
    for (std::size_t row = 0; row < labels.size(); ++row) {
      is_class[row] = static_cast<std::size_t>(labels[row]) == k ? 1 : 0;
      column[row] = scores.Row(row)[k];
    }
    const auto value = figure(is_class, column);
    if (!value)
      return Prefixed("class " + std::to_string(k) + " against the others: ", value.error());
    sum += *value;
  }
  return sum / static_cast<double>(scores.columns);
}

}  // namespace

Result<std::vector<ThresholdCounts>> CountByThreshold(std::span<const std::int32_t> labels,
                                                      std::span<const double> scores) {
  if (labels.empty()) return Bad("there are no rows to rank");
  if (labels.size() != scores.size()) {
    return Bad(std::to_string(labels.size()) + " labels and " + std::to_string(scores.size()) +
               " scores are not rows");
  }
  std::vector<std::pair<double, std::int32_t>> rows(labels.size());
  for (std::size_t row = 0; row < labels.size(); ++row) {
    if (labels[row] != 0 && labels[row] != 1) {
      return Bad("row " + std::to_string(row) + ": label " + std::to_string(labels[row]) +
                 " is neither 0 nor 1");
    }
    if (!std::isfinite(scores[row])) {
      return Bad("row " + std::to_string(row) + ": the score is not a finite number");
    }
    rows[row] = {scores[row], labels[row]};
  }
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<ThresholdCounts> counts;
  ThresholdCounts so_far;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    so_far.true_positives += rows[row].second == 1 ? 1 : 0;
    so_far.false_positives += rows[row].second == 0 ? 1 : 0;
    if (row + 1 < rows.size() && rows[row + 1].first == rows[row].first) continue;
    so_far.threshold = rows[row].first;
    counts.push_back(so_far);
  }
  return counts;
}

Result<double> RocAuc(std::span<const std::int32_t> labels, std::span<const double> scores) {
  const auto counts = CountByThreshold(labels, scores);
  if (!counts) return counts.error();
  const std::uint64_t positives = counts->back().true_positives;
  const std::uint64_t negatives = counts->back().false_positives;
  if (positives == 0) return Missing(1);
  if (negatives == 0) return Missing(0);
  // Twice the area in units of one pair: below 2^63 for three billion rows.
  std::uint64_t twice = 0;
  ThresholdCounts before;
  for (const ThresholdCounts& now : *counts) {
    twice += (now.false_positives - before.false_positives) *
             (now.true_positives + before.true_positives);
    before = now;
  }
  return static_cast<double>(twice) / 2 / static_cast<double>(positives) /
         static_cast<double>(negatives);
}

Result<double> AveragePrecision(std::span<const std::int32_t> labels,
                                std::span<const double> scores) {
  const auto counts = CountByThreshold(labels, scores);
  if (!counts) return counts.error();
  const auto positives = static_cast<double>(counts->back().true_positives);
  if (positives == 0) return Missing(1);
  double area = 0;
  std::uint64_t before = 0;
  for (const ThresholdCounts& now : *counts) {
    const auto caught = static_cast<double>(now.true_positives);
    const double precision = caught / static_cast<double>(now.true_positives + now.false_positives);
    area += static_cast<double>(now.true_positives - before) / positives * precision;
    before = now.true_positives;
  }
  return area;
}

Result<double> PrecisionRecallAuc(std::span<const std::int32_t> labels,
                                  std::span<const double> scores) {
  const auto counts = CountByThreshold(labels, scores);
  if (!counts) return counts.error();
  const auto positives = static_cast<double>(counts->back().true_positives);
  if (positives == 0) return Missing(1);
  double area = 0;
  double precision_before = 1;
  std::uint64_t before = 0;
  for (const ThresholdCounts& now : *counts) {
    const double precision = static_cast<double>(now.true_positives) /
                             static_cast<double>(now.true_positives + now.false_positives);
    area += static_cast<double>(now.true_positives - before) / positives *
            (precision + precision_before) / 2;
    precision_before = precision;
    before = now.true_positives;
  }
  return area;
}

Result<double> MacroRocAuc(std::span<const std::int32_t> labels, MatrixView<double> scores) {
  return Macro(labels, scores, RocAuc);
}

Result<double> MacroAveragePrecision(std::span<const std::int32_t> labels,
                                     MatrixView<double> scores) {
  return Macro(labels, scores, AveragePrecision);
}

}  // namespace tidewheel::stats
