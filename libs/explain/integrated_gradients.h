#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "tidewheel/explain/budget.h"

namespace tidewheel::explain {

/// As AnswerRows, with the answer's derivative by every number of each row (count x columns).
using AnswerGradients =
    std::function<Result<void>(std::span<const float> rows, std::size_t count,
                               std::span<double> answers, std::span<float> gradients)>;

struct GradientPath {
  std::size_t first_steps = 16;  // Doubled until the gap is small enough.
  std::size_t most_steps = 512;
  double tolerance = 0.01;  // Of the gap, in units of the answer.
};

struct GradientExplanation {
  std::vector<double> attributions;  // Per number of the row.
  double answer = 0;                 // To the row.
  double baseline_answer = 0;
  /// The attributions' sum less (answer - baseline_answer): 0 were the path followed exactly.
  double gap = 0;
  std::size_t steps = 0;
  bool complete = true;  // The gap is within the tolerance.
};

/// Integrated gradients (Sundararajan, Taly, Yan 2017) along the straight line from `baseline` to
/// `row`, by Gauss-Legendre quadrature of as many points as steps, doubled until the gap is within
/// the tolerance, the steps are most_steps, or the time is over; the last path that was walked
/// whole counts. kInvalidArgument: an empty row, sizes that differ, numbers that are not finite,
/// steps of 0 or above 4096. kDeadlineExceeded: not even the first path could be walked.
Result<GradientExplanation> IntegrateGradients(std::span<const float> row,
                                               std::span<const float> baseline,
                                               const AnswerGradients& model,
                                               const GradientPath& path, const Budget& budget);

/// Points and weights of Gauss-Legendre quadrature on [0, 1], by Newton's method from
/// Abramowitz and Stegun's starts (1964, 25.4.30).
struct Quadrature {
  std::vector<double> points;
  std::vector<double> weights;
};
Quadrature GaussLegendre(std::size_t points);

}  // namespace tidewheel::explain
