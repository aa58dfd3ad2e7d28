#include "tidewheel/stats/imbalance.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>

#include "tidewheel/stats/ranking.h"

namespace tidewheel::stats {
namespace {

constexpr std::size_t kMostClasses = 10'000;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

/// Sums of a confusion matrix.
struct Margins {
  std::vector<double> given;
  std::vector<double> predicted;
  std::vector<double> right;
  double total = 0;
};

Result<Margins> MarginsOf(std::span<const std::uint64_t> confusion, std::size_t classes) {
  if (classes < 2) return Bad("at least 2 classes, not " + std::to_string(classes));
  if (confusion.size() / classes != classes || confusion.size() % classes != 0) {
    return Bad("a confusion matrix of " + std::to_string(classes) + " classes has " +
               std::to_string(classes) + " x " + std::to_string(classes) + " counts, not " +
               std::to_string(confusion.size()));
  }
  Margins margins;
  margins.given.assign(classes, 0);
  margins.predicted.assign(classes, 0);
  margins.right.assign(classes, 0);
  for (std::size_t i = 0; i < classes; ++i) {
    for (std::size_t j = 0; j < classes; ++j) {
      const auto count = static_cast<double>(confusion[i * classes + j]);
      margins.given[i] += count;
      margins.predicted[j] += count;
      margins.total += count;
    }
    margins.right[i] = static_cast<double>(confusion[i * classes + i]);
  }
  if (margins.total == 0) return Bad("there are no samples");
  return margins;
}

double Sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

std::string Short(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

}  // namespace

Result<double> BalancedAccuracy(std::span<const std::uint64_t> confusion, std::size_t classes) {
  const auto margins = MarginsOf(confusion, classes);
  if (!margins) return margins.error();
  double sum = 0;
  double count = 0;
  for (std::size_t k = 0; k < classes; ++k) {
    if (margins->given[k] == 0) continue;
    sum += margins->right[k] / margins->given[k];
    count += 1;
  }
  return sum / count;
}

Result<double> MacroF1(std::span<const std::uint64_t> confusion, std::size_t classes) {
  const auto margins = MarginsOf(confusion, classes);
  if (!margins) return margins.error();
  double sum = 0;
  double count = 0;
  for (std::size_t k = 0; k < classes; ++k) {
    const double both = margins->given[k] + margins->predicted[k];
    if (both == 0) continue;
    sum += 2 * margins->right[k] / both;
    count += 1;
  }
  return sum / count;
}

Result<double> MatthewsCorrelation(std::span<const std::uint64_t> confusion, std::size_t classes) {
  const auto margins = MarginsOf(confusion, classes);
  if (!margins) return margins.error();
  const double total = margins->total;
  double covariance = Sum(margins->right) * total;
  double given = total * total;
  double predicted = total * total;
  for (std::size_t k = 0; k < classes; ++k) {
    covariance -= margins->given[k] * margins->predicted[k];
    given -= margins->given[k] * margins->given[k];
    predicted -= margins->predicted[k] * margins->predicted[k];
  }
  const double spread = std::sqrt(given) * std::sqrt(predicted);
  return spread > 0 ? covariance / spread : 0.0;
}

Result<double> CohenKappa(std::span<const std::uint64_t> confusion, std::size_t classes,
                          KappaWeights weights) {
  const auto margins = MarginsOf(confusion, classes);
  if (!margins) return margins.error();
  double observed = 0;
  double expected = 0;
  for (std::size_t i = 0; i < classes; ++i) {
    for (std::size_t j = 0; j < classes; ++j) {
      const double apart = std::abs(static_cast<double>(i) - static_cast<double>(j));
      const double weight = weights == KappaWeights::kNone     ? (i == j ? 0.0 : 1.0)
                            : weights == KappaWeights::kLinear ? apart
                                                               : apart * apart;
      observed += weight * static_cast<double>(confusion[i * classes + j]);
      expected += weight * (margins->given[i] * margins->predicted[j]);
    }
  }
  // Sums of whole numbers: exactly 0 where it is 0, and the same with both sides exchanged.
  if (expected == 0) {
    return Error{ErrorCode::kFailedPrecondition,
                 "not applicable, because all samples are of one class on both sides"};
  }
  return 1 - observed * margins->total / expected;
}

Result<ImbalanceReport> ImbalanceReport::Of(std::span<const std::int32_t> labels,
                                            std::span<const std::int32_t> predicted,
                                            std::size_t classes, MatrixView<double> scores) {
  if (labels.empty()) return Bad("there are no rows");
  if (classes < 2 || classes > kMostClasses) {
    return Bad("classes are 2 to " + std::to_string(kMostClasses) + ", not " +
               std::to_string(classes));
  }
  if (predicted.size() != labels.size()) {
    return Bad(std::to_string(labels.size()) + " labels need as many predictions, not " +
               std::to_string(predicted.size()));
  }
  const auto outside = [&](std::int32_t label) {
    return label < 0 || static_cast<std::size_t>(label) >= classes;
  };
  for (std::size_t row = 0; row < labels.size(); ++row) {
    if (outside(labels[row]) || outside(predicted[row])) {
      return Bad("row " + std::to_string(row) + ": " +
                 (outside(labels[row]) ? "label " + std::to_string(labels[row])
                                       : "prediction " + std::to_string(predicted[row])) +
                 " is not in 0.." + std::to_string(classes) + " - 1");
    }
  }
  ImbalanceReport report;
  report.scored_ = scores.columns > 0;
  if (report.scored_) {
    if (!scores.Fits() || scores.rows != labels.size() || scores.columns != classes) {
      return Bad("scores are not " + std::to_string(labels.size()) + " rows of " +
                 std::to_string(classes));
    }
    for (std::size_t i = 0; i < scores.values.size(); ++i) {
      if (!std::isfinite(scores.values[i])) {
        return Bad("row " + std::to_string(i / classes) + ", class " + std::to_string(i % classes) +
                   ": the score is not finite");
      }
    }
  }
  report.confusion_.assign(classes * classes, 0);
  report.support_.assign(classes, 0);
  std::uint64_t right = 0;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    const auto given = static_cast<std::size_t>(labels[row]);
    ++report.confusion_[given * classes + static_cast<std::size_t>(predicted[row])];
    ++report.support_[given];
    right += labels[row] == predicted[row] ? 1 : 0;
  }
  const auto total = static_cast<double>(labels.size());
  AccuracyInContext& context = report.accuracy_;
  context.accuracy = static_cast<double>(right) / total;
  const auto [least, most] = std::minmax_element(report.support_.begin(), report.support_.end());
  context.constant_answer = static_cast<double>(*most) / total;
  report.imbalance_ = *least == 0 ? std::numeric_limits<double>::infinity()
                                  : static_cast<double>(*most) / static_cast<double>(*least);
  context.balanced_accuracy = *BalancedAccuracy(report.confusion_, classes);
  context.macro_f1 = *MacroF1(report.confusion_, classes);
  context.matthews = *MatthewsCorrelation(report.confusion_, classes);
  if (const auto kappa = CohenKappa(report.confusion_, classes); kappa) context.kappa = *kappa;
  context.worst_recall = 2;
  for (std::size_t k = 0; k < classes; ++k) {
    if (report.support_[k] == 0) {
      report.recall_.push_back(0);
      continue;
    }
    report.recall_.push_back(static_cast<double>(report.confusion_[k * classes + k]) /
                             static_cast<double>(report.support_[k]));
    if (report.recall_.back() < context.worst_recall) {
      context.worst_recall = report.recall_.back();
      context.worst_class = k;
    }
  }
  report.rankings_.resize(classes);
  std::vector<std::int32_t> own(labels.size());
  std::vector<double> score(labels.size());
  for (std::size_t k = 0; report.scored_ && k < classes; ++k) {
    if (report.support_[k] == 0 || report.support_[k] == labels.size()) continue;
    for (std::size_t row = 0; row < labels.size(); ++row) {
      own[row] = static_cast<std::size_t>(labels[row]) == k ? 1 : 0;
      score[row] = scores.Row(row)[k];
    }
    const auto roc = RocAuc(own, score);
    if (!roc) return roc.error();
    const auto precision = AveragePrecision(own, score);
    if (!precision) return precision.error();
    report.rankings_[k] = RankingInContext{
        *roc, *precision, static_cast<double>(report.support_[k]) / total, report.support_[k]};
  }
  return report;
}

Result<RankingInContext> ImbalanceReport::Ranking(std::size_t of_class) const {
  if (of_class >= support_.size()) {
    return Bad("class " + std::to_string(of_class) + " is not below " +
               std::to_string(support_.size()));
  }
  if (!scored_) {
    return Error{ErrorCode::kFailedPrecondition, "not applicable, because no scores were given"};
  }
  if (!rankings_[of_class]) {
    return Error{ErrorCode::kFailedPrecondition,
                 "not applicable, because class " + std::to_string(of_class) + " has " +
                     (support_[of_class] == 0 ? "no rows" : "all rows")};
  }
  return *rankings_[of_class];
}

std::string ImbalanceReport::Describe() const {
  return "accuracy " + Short(accuracy_.accuracy) +
         " (always the commonest class: " + Short(accuracy_.constant_answer) + "), balanced " +
         Short(accuracy_.balanced_accuracy) + ", macro F1 " + Short(accuracy_.macro_f1) +
         ", Matthews " + Short(accuracy_.matthews) + "; lowest recall " +
         Short(accuracy_.worst_recall) + ", class " + std::to_string(accuracy_.worst_class);
}

}  // namespace tidewheel::stats
