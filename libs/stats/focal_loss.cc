#include "tidewheel/stats/focal_loss.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace tidewheel::stats {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> CheckInput(const MatrixView<double>& logits, std::span<const std::int32_t> labels,
                        const FocalLossOptions& options) {
  if (labels.empty()) return Bad("there are no rows");
  if (!logits.Fits() || logits.rows != labels.size()) {
    return Bad("logits are not " + std::to_string(labels.size()) + " rows, one a label");
  }
  if (logits.columns < 2) return Bad("at least 2 classes, not " + std::to_string(logits.columns));
  if (!(options.gamma >= 0 && std::isfinite(options.gamma))) {
    return Bad("gamma is a number of 0 or more");
  }
  if (!options.class_weights.empty() && options.class_weights.size() != logits.columns) {
    return Bad(std::to_string(logits.columns) + " classes need as many weights, not " +
               std::to_string(options.class_weights.size()));
  }
  for (std::size_t k = 0; k < options.class_weights.size(); ++k) {
    if (!(options.class_weights[k] >= 0 && std::isfinite(options.class_weights[k]))) {
      return Bad("the weight of class " + std::to_string(k) + " is not a number of 0 or more");
    }
  }
  for (std::size_t row = 0; row < labels.size(); ++row) {
    if (labels[row] < 0 || static_cast<std::size_t>(labels[row]) >= logits.columns) {
      return Bad("row " + std::to_string(row) + ": label " + std::to_string(labels[row]) +
                 " is not in 0.." + std::to_string(logits.columns) + " - 1");
    }
    for (std::size_t k = 0; k < logits.columns; ++k) {
      if (!std::isfinite(logits.Row(row)[k])) {
        return Bad("row " + std::to_string(row) + ", column " + std::to_string(k) +
                   " is not finite");
      }
    }
  }
  return {};
}

}  // namespace

Result<FocalLossReport> FocalLoss(MatrixView<double> logits, std::span<const std::int32_t> labels,
                                  const FocalLossOptions& options) {
  if (const auto good = CheckInput(logits, labels, options); !good) return good.error();
  const std::size_t classes = logits.columns;
  const auto rows = static_cast<double>(labels.size());
  const double gamma = options.gamma;
  FocalLossReport report;
  report.gradient.resize(logits.values.size());
  std::vector<double> p(classes);
  for (std::size_t row = 0; row < labels.size(); ++row) {
    const auto z = logits.Row(row);
    const auto y = static_cast<std::size_t>(labels[row]);
    const double top = *std::max_element(z.begin(), z.end());
    double sum = 0;
    double others = 0;  // What the other classes have: 1 - p_y without a difference.
    for (std::size_t k = 0; k < classes; ++k) {
      p[k] = std::exp(z[k] - top);
      sum += p[k];
      if (k != y) others += p[k];
    }
    for (double& value : p) value /= sum;
    const double rest = others / sum;
    const double log_p = rest < 0.5 ? std::log1p(-rest) : z[y] - top - std::log(sum);
    const double weight = options.class_weights.empty() ? 1 : options.class_weights[y];
    const double focus = gamma == 0 ? 1 : std::pow(rest, gamma);
    report.loss.push_back(-weight * focus * log_p);
    // d loss / d z_k = w (k == y ? 1 - p_y : -p_k) (gamma p_y (1 - p_y)^(gamma - 1) ln p_y
    //                                               - (1 - p_y)^gamma),
    // with ln p_y / (1 - p_y) -> -1 where p_y is 1.
    const double slope = rest > 0 ? log_p / rest : -1;
    const double factor = weight * focus * (gamma * p[y] * slope - 1);
    for (std::size_t k = 0; k < classes; ++k) {
      report.gradient[row * classes + k] = factor * (k == y ? rest : -p[k]) / rows;
    }
    report.mean += report.loss.back() / rows;
  }
  return report;
}

}  // namespace tidewheel::stats
