#include "tidewheel/explain/integrated_gradients.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <string>

namespace tidewheel::explain {
namespace {

constexpr std::size_t kMaxSteps = 4'096;

Error Invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

Result<void> CheckPath(std::span<const float> row, std::span<const float> baseline,
                       const GradientPath& path) {
  if (row.empty()) return Invalid("there is nothing to explain: the row is empty");
  if (row.size() != baseline.size()) {
    return Invalid("a row of " + std::to_string(row.size()) + " numbers needs a baseline of as " +
                   "many, not " + std::to_string(baseline.size()));
  }
  for (std::size_t j = 0; j < row.size(); ++j) {
    if (!std::isfinite(row[j]) || !std::isfinite(baseline[j])) {
      return Invalid("number " + std::to_string(j) + " of the row or its baseline is not finite");
    }
  }
  if (path.first_steps == 0 || path.most_steps < path.first_steps || path.most_steps > kMaxSteps) {
    return Invalid("a path's steps go from at least 1 to at most 4096");
  }
  if (!(path.tolerance >= 0)) return Invalid("the tolerance must not be negative");
  return {};
}

struct Walked {
  std::vector<double> mean_gradient;
  bool whole = false;
};

class Walker {
 public:
  Walker(std::span<const float> row, std::span<const float> baseline, const AnswerGradients& model,
         const Budget& budget)
      : row_(row), baseline_(baseline), model_(model), budget_(budget) {}

  /// Answers to the baseline and the row.
  Result<std::pair<double, double>> Ends() const {
    std::vector<float> rows(baseline_.begin(), baseline_.end());
    rows.insert(rows.end(), row_.begin(), row_.end());
    std::vector<double> answers(2);
    std::vector<float> gradients(rows.size());
    if (auto done = model_(rows, 2, answers, gradients); !done.ok()) return done.error();
    if (!std::isfinite(answers[0]) || !std::isfinite(answers[1])) return NotFinite();
    return std::pair{answers[0], answers[1]};
  }

  Result<Walked> Walk(std::size_t steps) const {
    const Quadrature quadrature = GaussLegendre(steps);
    const std::size_t columns = row_.size();
    Walked walked{std::vector<double>(columns, 0), false};
    std::vector<float> rows;
    std::vector<double> answers;
    std::vector<float> gradients;
    for (std::size_t first = 0; first < steps;) {
      if (auto checked = Check(budget_); !checked.ok()) return checked.error();
      if (budget_.over()) return walked;
      const std::size_t count = std::min(budget_.batch, steps - first);
      rows.resize(count * columns);
      for (std::size_t i = 0; i < count; ++i) {
        const double at = quadrature.points[first + i];
        for (std::size_t j = 0; j < columns; ++j) {
          const auto from = static_cast<double>(baseline_[j]);
          rows[i * columns + j] =
              static_cast<float>(from + at * (static_cast<double>(row_[j]) - from));
        }
      }
      answers.assign(count, 0);
      gradients.assign(count * columns, 0);
      if (auto done = model_(rows, count, answers, gradients); !done.ok()) return done.error();
      for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t j = 0; j < columns; ++j) {
          const auto slope = static_cast<double>(gradients[i * columns + j]);
          if (!std::isfinite(slope)) return NotFinite();
          walked.mean_gradient[j] += quadrature.weights[first + i] * slope;
        }
      }
      first += count;
    }
    walked.whole = true;
    return walked;
  }

 private:
  static Error NotFinite() {
    return Error{ErrorCode::kInternal, "the model's answer or its gradient is not a number"};
  }

  std::span<const float> row_;
  std::span<const float> baseline_;
  const AnswerGradients& model_;
  const Budget& budget_;
};

}  // namespace

Quadrature GaussLegendre(std::size_t points) {
  Quadrature quadrature{std::vector<double>(points), std::vector<double>(points)};
  const auto n = static_cast<double>(points);
  for (std::size_t i = 0; i < (points + 1) / 2; ++i) {
    double x = std::cos(std::numbers::pi * (static_cast<double>(i) + 0.75) / (n + 0.5));
    double slope = 1;
    for (int round = 0; round < 100; ++round) {
      double value = 1;
      double before = 0;
      for (std::size_t k = 0; k < points; ++k) {
        const auto order = static_cast<double>(k);
        const double next = ((2 * order + 1) * x * value - order * before) / (order + 1);
        before = value;
        value = next;
      }
      slope = n * (x * value - before) / (x * x - 1);
      const double step = value / slope;
      x -= step;
      if (std::abs(step) < 1e-15) break;
    }
    const double weight = 1 / ((1 - x * x) * slope * slope);
    quadrature.points[i] = (1 - x) / 2;
    quadrature.points[points - 1 - i] = (1 + x) / 2;
    quadrature.weights[i] = quadrature.weights[points - 1 - i] = weight;
  }
  return quadrature;
}

Result<GradientExplanation> IntegrateGradients(std::span<const float> row,
                                               std::span<const float> baseline,
                                               const AnswerGradients& model,
                                               const GradientPath& path, const Budget& budget) {
  if (auto checked = CheckPath(row, baseline, path); !checked.ok()) return checked.error();
  if (auto checked = Check(budget); !checked.ok()) return checked.error();
  const Walker walker(row, baseline, model, budget);
  const auto ends = walker.Ends();
  if (!ends.ok()) return ends.error();
  std::optional<GradientExplanation> best;
  for (std::size_t steps = path.first_steps;; steps = std::min(2 * steps, path.most_steps)) {
    const auto walked = walker.Walk(steps);
    if (!walked.ok()) return walked.error();
    if (!walked->whole) break;
    GradientExplanation explanation;
    explanation.baseline_answer = ends->first;
    explanation.answer = ends->second;
    explanation.steps = steps;
    explanation.attributions.resize(row.size());
    double sum = 0;
    for (std::size_t j = 0; j < row.size(); ++j) {
      explanation.attributions[j] = walked->mean_gradient[j] * (static_cast<double>(row[j]) -
                                                                static_cast<double>(baseline[j]));
      sum += explanation.attributions[j];
    }
    explanation.gap = sum - (explanation.answer - explanation.baseline_answer);
    explanation.complete = std::abs(explanation.gap) <= path.tolerance;
    best = std::move(explanation);
    if (best->complete || steps == path.most_steps) break;
  }
  if (!best) {
    return Error{ErrorCode::kDeadlineExceeded,
                 "the time was over before the first path of gradients was walked"};
  }
  return std::move(*best);
}

}  // namespace tidewheel::explain
