#include "tidewheel/stats/auc_comparison.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/stats/special.h"

namespace tidewheel::stats {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> Check(std::span<const std::int32_t> labels, std::span<const double> scores,
                   const std::string& whose) {
  if (labels.size() != scores.size()) {
    return Bad(std::to_string(labels.size()) + " labels and " + std::to_string(scores.size()) +
               " scores of the " + whose + " are not rows");
  }
  for (std::size_t row = 0; row < labels.size(); ++row) {
    if (labels[row] != 0 && labels[row] != 1) {
      return Bad("row " + std::to_string(row) + ": label " + std::to_string(labels[row]) +
                 " is neither 0 nor 1");
    }
    if (!std::isfinite(scores[row])) {
      return Bad("row " + std::to_string(row) + ": the score of the " + whose +
                 " is not a finite number");
    }
  }
  return {};
}

/// Per row: the share of the other class that stands on its right side, ties half. By class.
struct Placements {
  std::vector<double> ones;
  std::vector<double> zeros;
  double area = 0;
};

Placements PlacementsOf(std::span<const std::int32_t> labels, std::span<const double> scores) {
  std::vector<double> ones;
  std::vector<double> zeros;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    (labels[row] == 1 ? ones : zeros).push_back(scores[row]);
  }
  std::vector<double> sorted_ones = ones;
  std::vector<double> sorted_zeros = zeros;
  std::sort(sorted_ones.begin(), sorted_ones.end());
  std::sort(sorted_zeros.begin(), sorted_zeros.end());
  const auto below = [](const std::vector<double>& sorted, double score) {
    const auto [low, high] = std::equal_range(sorted.begin(), sorted.end(), score);
    return (static_cast<double>(low - sorted.begin()) +
            static_cast<double>(high - sorted.begin())) /
           2 / static_cast<double>(sorted.size());
  };
  Placements placements;
  for (const double score : ones) placements.ones.push_back(below(sorted_zeros, score));
  for (const double score : zeros) placements.zeros.push_back(1 - below(sorted_ones, score));
  for (const double placement : placements.ones) placements.area += placement;
  placements.area /= static_cast<double>(ones.size());
  return placements;
}

double Covariance(std::span<const double> a, double mean_a, std::span<const double> b,
                  double mean_b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - mean_a) * (b[i] - mean_b);
  return sum / static_cast<double>(a.size() - 1);
}

double AreaCovariance(const Placements& a, const Placements& b) {
  return Covariance(a.ones, a.area, b.ones, b.area) / static_cast<double>(a.ones.size()) +
         Covariance(a.zeros, a.area, b.zeros, b.area) / static_cast<double>(a.zeros.size());
}

Estimate WithInterval(double value, double variance, double z, double least) {
  const double half = z * std::sqrt(std::max(0.0, variance));
  return {value, {std::max(least, value - half), std::min(1.0, value + half)}};
}

}  // namespace

Result<AucComparison> CompareAuc(std::span<const std::int32_t> labels,
                                 std::span<const double> baseline_scores,
                                 std::span<const double> candidate_scores, double confidence) {
  if (labels.empty()) return Bad("there are no rows to rank");
  if (!(confidence > 0 && confidence < 1)) return Bad("confidence is above 0 and below 1");
  if (const auto good = Check(labels, baseline_scores, "baseline"); !good) return good.error();
  if (const auto good = Check(labels, candidate_scores, "candidate"); !good) return good.error();
  const auto ones = std::count(labels.begin(), labels.end(), 1);
  const auto zeros = static_cast<std::ptrdiff_t>(labels.size()) - ones;
  if (ones < 2 || zeros < 2) {
    return Error{
        ErrorCode::kFailedPrecondition,
        "not applicable, because the variance of an area needs 2 rows of each class, not " +
            std::to_string(zeros) + " and " + std::to_string(ones)};
  }
  const Placements baseline = PlacementsOf(labels, baseline_scores);
  const Placements candidate = PlacementsOf(labels, candidate_scores);
  const double baseline_variance = AreaCovariance(baseline, baseline);
  const double candidate_variance = AreaCovariance(candidate, candidate);
  const double covariance = AreaCovariance(baseline, candidate);
  // The same ranks give the same placements, and rounding must not make a difference of them.
  const bool same = baseline.ones == candidate.ones && baseline.zeros == candidate.zeros;
  const double variance =
      same ? 0 : std::max(0.0, baseline_variance + candidate_variance - 2 * covariance);
  const double difference = same ? 0 : candidate.area - baseline.area;
  if (difference != 0 && variance == 0) {
    return Error{ErrorCode::kFailedPrecondition,
                 "not applicable, because neither area has a variance and they differ"};
  }

  AucComparison comparison;
  const double z = NormalQuantile(0.5 + confidence / 2);
  comparison.baseline = WithInterval(baseline.area, baseline_variance, z, 0);
  comparison.candidate = WithInterval(candidate.area, candidate_variance, z, 0);
  comparison.difference = WithInterval(difference, variance, z, -1);
  const double spread = std::sqrt(baseline_variance) * std::sqrt(candidate_variance);
  comparison.correlation = spread > 0 ? std::clamp(covariance / spread, -1.0, 1.0) : 0;
  if (difference != 0) {
    comparison.z = difference / std::sqrt(variance);
    comparison.p_value = 2 * NormalCdf(-std::abs(comparison.z));
  }
  return comparison;
}

}  // namespace tidewheel::stats
