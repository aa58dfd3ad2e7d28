#include "tidewheel/explain/local_fit.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "tidewheel/stats/cholesky.h"

namespace tidewheel::explain {
namespace {

constexpr std::size_t kMaxColumns = 2'048;

Error Invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

Result<void> CheckInput(MatrixView<double> rows, std::span<const double> answers,
                        std::span<const double> weights, double penalty) {
  if (!rows.Fits() || rows.columns == 0) return Invalid("the rows of a local fit do not fit");
  if (rows.columns > kMaxColumns) {
    return Invalid("a local fit takes at most " + std::to_string(kMaxColumns) + " columns, not " +
                   std::to_string(rows.columns));
  }
  if (rows.rows < 2) return Invalid("a local fit needs at least 2 rows");
  if (answers.size() != rows.rows || weights.size() != rows.rows) {
    return Invalid("a local fit needs one answer and one weight a row");
  }
  if (!(penalty > 0) || !std::isfinite(penalty)) return Invalid("the penalty must be above 0");
  double total = 0;
  for (std::size_t i = 0; i < rows.rows; ++i) {
    if (!std::isfinite(weights[i]) || weights[i] < 0 || !std::isfinite(answers[i])) {
      return Invalid("the weight or answer of row " + std::to_string(i) + " is no valid number");
    }
    total += weights[i];
  }
  if (!(total > 0)) return Invalid("the weights of a local fit sum to 0");
  if (!std::all_of(rows.values.begin(), rows.values.end(),
                   [](double value) { return std::isfinite(value); })) {
    return Invalid("a row of a local fit holds what is no number");
  }
  return {};
}

struct Centred {
  std::vector<double> rows;     // Each times the root of its weight.
  std::vector<double> answers;  // Likewise.
  std::vector<double> means;
  double mean_answer = 0;
};

Centred Centre(MatrixView<double> rows, std::span<const double> answers,
               std::span<const double> weights) {
  Centred centred{std::vector<double>(rows.values.size()), std::vector<double>(rows.rows),
                  std::vector<double>(rows.columns), 0};
  double total = 0;
  for (std::size_t i = 0; i < rows.rows; ++i) {
    total += weights[i];
    centred.mean_answer += weights[i] * answers[i];
    const auto row = rows.Row(i);
    for (std::size_t j = 0; j < rows.columns; ++j) centred.means[j] += weights[i] * row[j];
  }
  centred.mean_answer /= total;
  for (double& mean : centred.means) mean /= total;
  for (std::size_t i = 0; i < rows.rows; ++i) {
    const double root = std::sqrt(weights[i]);
    const auto row = rows.Row(i);
    for (std::size_t j = 0; j < rows.columns; ++j) {
      centred.rows[i * rows.columns + j] = root * (row[j] - centred.means[j]);
    }
    centred.answers[i] = root * (answers[i] - centred.mean_answer);
  }
  return centred;
}

/// Lower triangle of sum_i scale_i^2 x_i x_i^T.
std::vector<double> Gram(std::span<const double> rows, std::span<const double> scales,
                         std::size_t columns) {
  std::vector<double> gram(columns * columns);
  for (std::size_t i = 0; i < scales.size(); ++i) {
    const double* row = rows.data() + i * columns;
    const double square = scales[i] * scales[i];
    for (std::size_t j = 0; j < columns; ++j) {
      const double factor = square * row[j];
      if (factor == 0) continue;
      for (std::size_t k = 0; k <= j; ++k) gram[j * columns + k] += factor * row[k];
    }
  }
  return gram;
}

}  // namespace

Result<LocalFit> FitLocally(MatrixView<double> rows, std::span<const double> answers,
                            std::span<const double> weights, double penalty) {
  if (auto checked = CheckInput(rows, answers, weights, penalty); !checked.ok()) {
    return checked.error();
  }
  const std::size_t columns = rows.columns;
  const Centred centred = Centre(rows, answers, weights);
  auto root = Gram(centred.rows, std::vector<double>(rows.rows, 1.0), columns);
  for (std::size_t j = 0; j < columns; ++j) root[j * columns + j] += penalty;
  if (!stats::FactorCholesky(root, columns)) {
    return Invalid("the rows of a local fit and its penalty leave no positive definite matrix");
  }

  LocalFit fit;
  fit.weights.assign(columns, 0);
  for (std::size_t i = 0; i < rows.rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      fit.weights[j] += centred.rows[i * columns + j] * centred.answers[i];
    }
  }
  stats::SolveCholesky(root, columns, fit.weights);

  fit.intercept = centred.mean_answer;
  for (std::size_t j = 0; j < columns; ++j) fit.intercept -= fit.weights[j] * centred.means[j];
  double unexplained = 0;
  double whole = 0;
  std::vector<double> residuals(rows.rows);
  for (std::size_t i = 0; i < rows.rows; ++i) {
    double residual = centred.answers[i];
    for (std::size_t j = 0; j < columns; ++j) {
      residual -= fit.weights[j] * centred.rows[i * columns + j];
    }
    residuals[i] = residual;
    unexplained += residual * residual;
    whole += centred.answers[i] * centred.answers[i];
  }
  fit.r_squared = whole > 0 ? 1 - unexplained / whole : 0;

  // The sandwich A^-1 M A^-1: column by column of A^-1, so that only one matrix is kept besides.
  const auto meat = Gram(centred.rows, residuals, columns);
  fit.standard_errors.resize(columns);
  std::vector<double> unit(columns);
  for (std::size_t j = 0; j < columns; ++j) {
    std::fill(unit.begin(), unit.end(), 0);
    unit[j] = 1;
    stats::SolveCholesky(root, columns, unit);
    double variance = 0;
    for (std::size_t a = 0; a < columns; ++a) {
      double cross = 0;
      for (std::size_t b = 0; b < a; ++b) cross += meat[a * columns + b] * unit[b];
      variance += unit[a] * (2 * cross + meat[a * columns + a] * unit[a]);
    }
    fit.standard_errors[j] = std::sqrt(std::max(variance, 0.0));
  }
  return fit;
}

}  // namespace tidewheel::explain
