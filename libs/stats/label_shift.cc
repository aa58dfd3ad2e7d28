#include "tidewheel/stats/label_shift.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "tidewheel/stats/special.h"

namespace tidewheel::stats {
namespace {

constexpr double kRowSumTolerance = 1e-3;
constexpr double kShareSumTolerance = 1e-6;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Error Inapplicable(std::string why) {
  return {ErrorCode::kFailedPrecondition, "not applicable, because " + std::move(why)};
}

/// Inverse of a K x K matrix by elimination with row pivots; empty if it is singular.
std::vector<double> Inverse(std::vector<double> matrix, std::size_t k) {
  std::vector<double> inverse(k * k);
  for (std::size_t i = 0; i < k; ++i) inverse[i * k + i] = 1;
  for (std::size_t column = 0; column < k; ++column) {
    std::size_t pivot = column;
    for (std::size_t row = column + 1; row < k; ++row) {
      if (std::abs(matrix[row * k + column]) > std::abs(matrix[pivot * k + column])) pivot = row;
    }
    const double head = matrix[pivot * k + column];
    if (std::abs(head) < 1e-300) return {};
    for (std::size_t j = 0; j < k; ++j) {
      if (pivot != column) {
        std::swap(matrix[pivot * k + j], matrix[column * k + j]);
        std::swap(inverse[pivot * k + j], inverse[column * k + j]);
      }
      matrix[column * k + j] /= head;
      inverse[column * k + j] /= head;
    }
    for (std::size_t row = 0; row < k; ++row) {
      const double factor = matrix[row * k + column];
      if (row == column || factor == 0) continue;
      for (std::size_t j = 0; j < k; ++j) {
        matrix[row * k + j] -= factor * matrix[column * k + j];
        inverse[row * k + j] -= factor * inverse[column * k + j];
      }
    }
  }
  return inverse;
}

/// The largest sum of absolute values of a column.
double ColumnNorm(std::span<const double> matrix, std::size_t k) {
  double norm = 0;
  for (std::size_t j = 0; j < k; ++j) {
    double sum = 0;
    for (std::size_t i = 0; i < k; ++i) sum += std::abs(matrix[i * k + j]);
    norm = std::max(norm, sum);
  }
  return norm;
}

}  // namespace

Result<LabelShift> EstimateLabelShift(std::span<const std::uint64_t> confusion,
                                      std::span<const std::uint64_t> predicted,
                                      const LabelShiftOptions& options) {
  const std::size_t k = predicted.size();
  if (k < 2) return Bad("a shift of classes needs at least 2 of them");
  if (confusion.size() / k != k || confusion.size() % k != 0) {
    return Bad(std::to_string(confusion.size()) + " counts are no confusion of " +
               std::to_string(k) + " classes");
  }
  if (!(options.confidence > 0 && options.confidence < 1)) {
    return Bad("confidence is above 0 and below 1");
  }
  if (!(options.max_condition >= 1)) return Bad("the limit of the condition is at least 1");

  double target_rows = 0;
  for (const std::uint64_t count : predicted) target_rows += static_cast<double>(count);
  if (target_rows == 0) return Bad("the target has no rows");
  std::vector<double> class_rows(k);
  double source_rows = 0;
  for (std::size_t given = 0; given < k; ++given) {
    for (const std::uint64_t count : confusion.subspan(given * k, k)) {
      class_rows[given] += static_cast<double>(count);
    }
    if (class_rows[given] == 0) {
      return Inapplicable("class " + std::to_string(given) + " has no labeled rows");
    }
    source_rows += class_rows[given];
  }
  // P(predicted | true), one column per true class.
  std::vector<double> chance(k * k);
  for (std::size_t given = 0; given < k; ++given) {
    for (std::size_t answer = 0; answer < k; ++answer) {
      chance[answer * k + given] =
          static_cast<double>(confusion[given * k + answer]) / class_rows[given];
    }
  }
  const std::vector<double> inverse = Inverse(chance, k);
  if (inverse.empty()) {
    return Inapplicable("the confusion is singular: the classifier cannot tell some classes apart");
  }
  LabelShift shift;
  shift.condition = ColumnNorm(chance, k) * ColumnNorm(inverse, k);
  if (!(shift.condition <= options.max_condition)) {
    return Inapplicable("the confusion's condition " + std::to_string(shift.condition) +
                        " is above " + std::to_string(options.max_condition) +
                        ": the classifier hardly tells some classes apart");
  }

  std::vector<double> answers(k);  // Shares of the target's predictions.
  for (std::size_t i = 0; i < k; ++i) answers[i] = static_cast<double>(predicted[i]) / target_rows;
  std::vector<double> solved(k);
  for (std::size_t c = 0; c < k; ++c) {
    for (std::size_t i = 0; i < k; ++i) solved[c] += inverse[c * k + i] * answers[i];
  }

  // Source sampling reaches the weights through the joint counts of one multinomial, and the shares
  // through one multinomial per class.
  std::vector<double> joint_spread(k);  // Per answer: expected squared weight of a source row.
  for (std::size_t i = 0; i < k; ++i) {
    for (std::size_t j = 0; j < k; ++j) {
      const double share = class_rows[j] / source_rows;
      joint_spread[i] += chance[i * k + j] * solved[j] * solved[j] / share;
    }
  }
  const double z = NormalQuantile(0.5 + options.confidence / 2);
  double kept = 0;
  for (std::size_t c = 0; c < k; ++c) {
    const double share = class_rows[c] / source_rows;
    const double weight = solved[c] / share;
    double weight_variance = -weight * weight * (1 / target_rows + 1 / source_rows);
    double share_variance = -solved[c] * solved[c] / target_rows;
    for (std::size_t i = 0; i < k; ++i) {
      const double reach = inverse[c * k + i];
      weight_variance += reach * reach / (share * share) *
                         (answers[i] / target_rows + joint_spread[i] / source_rows);
      share_variance += reach * reach * answers[i] / target_rows;
    }
    for (std::size_t j = 0; j < k; ++j) {
      double spread = j == c ? -1 : 0;
      for (std::size_t i = 0; i < k; ++i) {
        const double reach = inverse[c * k + i];
        spread += reach * reach * chance[i * k + j];
      }
      share_variance += solved[j] * solved[j] / class_rows[j] * spread;
    }
    const double weight_half = z * std::sqrt(std::max(0.0, weight_variance));
    const double share_half = z * std::sqrt(std::max(0.0, share_variance));
    shift.weight_intervals.push_back(
        {std::max(0.0, weight - weight_half), std::max(0.0, weight + weight_half)});
    shift.share_intervals.push_back({std::clamp(solved[c] - share_half, 0.0, 1.0),
                                     std::clamp(solved[c] + share_half, 0.0, 1.0)});
    shift.shares.push_back(std::max(0.0, solved[c]));
    kept += shift.shares.back();
  }
  for (std::size_t c = 0; c < k; ++c) {
    shift.shares[c] /= kept;
    shift.weights.push_back(shift.shares[c] * source_rows / class_rows[c]);
  }
  return shift;
}

Result<PriorsEstimate> EstimatePriors(MatrixView<double> probabilities,
                                      std::span<const double> source_shares, int max_rounds,
                                      double tolerance) {
  const std::size_t k = source_shares.size();
  if (k < 2) return Bad("shares of classes need at least 2 of them");
  if (!probabilities.Fits() || probabilities.rows == 0 || probabilities.columns != k) {
    return Bad("probabilities of " + std::to_string(probabilities.rows) + " x " +
               std::to_string(probabilities.columns) + " for " + std::to_string(k) + " classes");
  }
  if (max_rounds < 1 || !(tolerance > 0)) return Bad("rounds and tolerance are positive");
  double total = 0;
  for (std::size_t c = 0; c < k; ++c) {
    if (!(source_shares[c] > 0 && source_shares[c] <= 1)) {
      return Bad("class " + std::to_string(c) + ": its source share is above 0 and at most 1");
    }
    total += source_shares[c];
  }
  if (std::abs(total - 1) > kShareSumTolerance) {
    return Bad("the source shares sum to " + std::to_string(total));
  }
  for (std::size_t row = 0; row < probabilities.rows; ++row) {
    double sum = 0;
    for (const double p : probabilities.Row(row)) {
      if (!(p >= 0 && p <= 1)) {
        return Bad("row " + std::to_string(row) + ": a probability is not in 0 to 1");
      }
      sum += p;
    }
    if (std::abs(sum - 1) > kRowSumTolerance) {
      return Bad("row " + std::to_string(row) + ": probabilities sum to " + std::to_string(sum));
    }
  }

  PriorsEstimate estimate;
  estimate.shares.assign(source_shares.begin(), source_shares.end());
  std::vector<double> ratio(k);
  std::vector<double> next(k);
  while (!estimate.converged && estimate.rounds < max_rounds) {
    for (std::size_t c = 0; c < k; ++c) ratio[c] = estimate.shares[c] / source_shares[c];
    std::fill(next.begin(), next.end(), 0.0);
    double counted = 0;
    for (std::size_t row = 0; row < probabilities.rows; ++row) {
      const auto p = probabilities.Row(row);
      double sum = 0;
      for (std::size_t c = 0; c < k; ++c) sum += p[c] * ratio[c];
      // A row only of classes that have died out says nothing more.
      if (!(sum > 0)) continue;
      counted += 1;
      for (std::size_t c = 0; c < k; ++c) next[c] += p[c] * ratio[c] / sum;
    }
    double moved = 0;
    for (std::size_t c = 0; c < k; ++c) {
      next[c] /= counted;
      moved = std::max(moved, std::abs(next[c] - estimate.shares[c]));
    }
    estimate.shares.swap(next);
    ++estimate.rounds;
    estimate.converged = moved <= tolerance;
  }
  return estimate;
}

}  // namespace tidewheel::stats
