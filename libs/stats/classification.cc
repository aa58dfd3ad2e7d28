#include "tidewheel/stats/classification.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

constexpr std::size_t kBins = 10;
constexpr double kSmallestProbability = 1e-15;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> CheckInput(std::span<const std::uint32_t> labels, std::span<const float> probabilities,
                        std::size_t classes, const ReportOptions& options) {
  if (classes < 2)
    return Bad("a classifier has at least 2 classes, not " + std::to_string(classes));
  if (labels.empty()) return Bad("there are no samples");
  if (probabilities.size() != labels.size() * classes) {
    return Bad(std::to_string(labels.size()) + " labels of " + std::to_string(classes) +
               " classes need " + std::to_string(labels.size() * classes) + " probabilities, not " +
               std::to_string(probabilities.size()));
  }
  if (!(options.confidence > 0 && options.confidence < 1))
    return Bad("confidence is above 0 and below 1");
  if (options.resamples < 2) return Bad("an interval needs at least 2 resamples");
  for (std::size_t row = 0; row < labels.size(); ++row) {
    if (labels[row] >= classes) {
      return Bad("row " + std::to_string(row) + ": label " + std::to_string(labels[row]) +
                 " is not below " + std::to_string(classes));
    }
    double sum = 0;
    for (const float p : probabilities.subspan(row * classes, classes)) {
      if (!(p >= -1e-6F && p <= 1 + 1e-6F)) {
        return Bad("row " + std::to_string(row) + ": a probability is not in 0 to 1");
      }
      sum += static_cast<double>(p);
    }
    if (std::abs(sum - 1) > 1e-3) {
      return Bad("row " + std::to_string(row) + ": probabilities sum to " + std::to_string(sum));
    }
  }
  return {};
}

/// Figures that follow from a confusion matrix.
struct MatrixFigures {
  double balanced_accuracy = 0;
  double macro_f1 = 0;
  double matthews = 0;
  std::vector<double> f1;
};

MatrixFigures FiguresOf(std::span<const double> confusion, std::size_t classes) {
  MatrixFigures figures;
  figures.f1.resize(classes);
  double total = 0;
  double right = 0;
  double given_predicted = 0;
  double given_squared = 0;
  double predicted_squared = 0;
  std::size_t given_classes = 0;
  std::size_t seen_classes = 0;
  for (std::size_t k = 0; k < classes; ++k) {
    double given = 0;
    double predicted = 0;
    for (std::size_t j = 0; j < classes; ++j) {
      given += confusion[k * classes + j];
      predicted += confusion[j * classes + k];
    }
    const double hit = confusion[k * classes + k];
    total += given;
    right += hit;
    given_predicted += given * predicted;
    given_squared += given * given;
    predicted_squared += predicted * predicted;
    if (given > 0) {
      figures.balanced_accuracy += hit / given;
      ++given_classes;
    }
    if (given + predicted > 0) {
      figures.f1[k] = 2 * hit / (given + predicted);
      figures.macro_f1 += figures.f1[k];
      ++seen_classes;
    }
  }
  figures.balanced_accuracy /= static_cast<double>(given_classes);
  figures.macro_f1 /= static_cast<double>(seen_classes);
  const double spread =
      std::sqrt(total * total - predicted_squared) * std::sqrt(total * total - given_squared);
  figures.matthews = spread > 0 ? (right * total - given_predicted) / spread : 0;
  return figures;
}

/// Per sample: what the bootstrap sums.
struct Outcomes {
  std::vector<std::uint32_t> predicted;
  std::vector<double> confidence;
  std::vector<double> loss;
  std::vector<std::uint32_t>
      by_confidence;  // Samples in the order of confidence, ties in their own order.
};

Outcomes OutcomesOf(std::span<const std::uint32_t> labels, std::span<const float> probabilities,
                    std::size_t classes) {
  Outcomes outcomes;
  const std::size_t samples = labels.size();
  outcomes.predicted.resize(samples);
  outcomes.confidence.resize(samples);
  outcomes.loss.resize(samples);
  for (std::size_t row = 0; row < samples; ++row) {
    const auto p = probabilities.subspan(row * classes, classes);
    const auto best = std::max_element(p.begin(), p.end());
    outcomes.predicted[row] = static_cast<std::uint32_t>(best - p.begin());
    outcomes.confidence[row] = static_cast<double>(*best);
    outcomes.loss[row] =
        -std::log(std::clamp(static_cast<double>(p[labels[row]]), kSmallestProbability, 1.0));
  }
  outcomes.by_confidence.resize(samples);
  std::iota(outcomes.by_confidence.begin(), outcomes.by_confidence.end(), 0U);
  std::stable_sort(outcomes.by_confidence.begin(), outcomes.by_confidence.end(),
                   [&](std::uint32_t a, std::uint32_t b) {
                     return outcomes.confidence[a] < outcomes.confidence[b];
                   });
  return outcomes;
}

/// Expected calibration error of samples that come `times` over: bins of equal frequency in the
/// order of confidence.
double CalibrationError(const Outcomes& outcomes, std::span<const std::uint32_t> labels,
                        std::span<const std::uint32_t> times) {
  const double total =
      static_cast<double>(std::accumulate(times.begin(), times.end(), std::uint64_t{0}));
  double error = 0;
  double before = 0;
  double confidence = 0;
  double right = 0;
  double count = 0;
  std::size_t bin = 1;
  for (const std::uint32_t sample : outcomes.by_confidence) {
    const double weight = times[sample];
    if (weight == 0) continue;
    confidence += weight * outcomes.confidence[sample];
    right += outcomes.predicted[sample] == labels[sample] ? weight : 0;
    count += weight;
    before += weight;
    if (before + 1e-9 >= total * static_cast<double>(bin) / static_cast<double>(kBins)) {
      error += std::abs(confidence - right) / total;
      confidence = right = count = 0;
      while (bin < kBins &&
             before + 1e-9 >= total * static_cast<double>(bin) / static_cast<double>(kBins)) {
        ++bin;
      }
    }
  }
  return error + (count > 0 ? std::abs(confidence - right) / total : 0);
}

/// Values of one figure over the resamples, turned into an interval around it.
Interval PercentileInterval(std::vector<double> values, double confidence) {
  std::sort(values.begin(), values.end());
  const double tail = (1 - confidence) / 2;
  return {NearestRank(values, tail), NearestRank(values, 1 - tail)};
}

struct Resampled {
  std::vector<double> balanced_accuracy, macro_f1, matthews, calibration_error, log_loss;
  std::vector<std::vector<double>> f1;
};

Resampled Bootstrap(const Outcomes& outcomes, std::span<const std::uint32_t> labels,
                    std::size_t classes, const ReportOptions& options) {
  Resampled resampled;
  resampled.f1.resize(classes);
  std::vector<std::vector<std::uint32_t>> of_class(classes);
  for (std::size_t row = 0; row < labels.size(); ++row) {
    of_class[labels[row]].push_back(static_cast<std::uint32_t>(row));
  }
  Random random(options.seed);
  std::vector<std::uint32_t> times(labels.size());
  std::vector<double> confusion(classes * classes);
  for (int round = 0; round < options.resamples; ++round) {
    std::fill(times.begin(), times.end(), 0U);
    std::fill(confusion.begin(), confusion.end(), 0.0);
    double loss = 0;
    for (std::size_t k = 0; k < classes; ++k) {
      for (std::size_t i = 0; i < of_class[k].size(); ++i) {
        const std::uint32_t sample = of_class[k][random.Below(of_class[k].size())];
        ++times[sample];
        confusion[k * classes + outcomes.predicted[sample]] += 1;
        loss += outcomes.loss[sample];
      }
    }
    const MatrixFigures figures = FiguresOf(confusion, classes);
    resampled.balanced_accuracy.push_back(figures.balanced_accuracy);
    resampled.macro_f1.push_back(figures.macro_f1);
    resampled.matthews.push_back(figures.matthews);
    resampled.calibration_error.push_back(CalibrationError(outcomes, labels, times));
    resampled.log_loss.push_back(loss / static_cast<double>(labels.size()));
    for (std::size_t k = 0; k < classes; ++k) resampled.f1[k].push_back(figures.f1[k]);
  }
  return resampled;
}

Estimate Rate(std::uint64_t successes, std::uint64_t trials, double confidence) {
  if (trials == 0) return {0, {0, 1}};
  return {static_cast<double>(successes) / static_cast<double>(trials),
          *WilsonInterval(successes, trials, confidence)};
}

Result<std::vector<double>> Normalized(std::vector<double> weights,
                                       std::span<const std::uint64_t> counts) {
  double sum = 0;
  double samples = 0;
  for (std::size_t k = 0; k < counts.size(); ++k) {
    sum += weights[k] * static_cast<double>(counts[k]);
    samples += static_cast<double>(counts[k]);
  }
  if (!(sum > 0)) return Bad("weights need a class with samples");
  for (double& weight : weights) weight *= samples / sum;
  return weights;
}

}  // namespace

Result<ClassificationReport> ReportClassification(std::span<const std::uint32_t> labels,
                                                  std::span<const float> probabilities,
                                                  std::size_t classes,
                                                  const ReportOptions& options) {
  if (const auto good = CheckInput(labels, probabilities, classes, options); !good) {
    return good.error();
  }
  Outcomes outcomes = OutcomesOf(labels, probabilities, classes);

  ClassificationReport report;
  report.samples = labels.size();
  report.confusion.resize(classes * classes);
  for (std::size_t row = 0; row < labels.size(); ++row) {
    ++report.confusion[labels[row] * classes + outcomes.predicted[row]];
  }
  const std::vector<double> confusion(report.confusion.begin(), report.confusion.end());
  const MatrixFigures figures = FiguresOf(confusion, classes);
  const Resampled resampled = Bootstrap(outcomes, labels, classes, options);
  const auto estimate = [&](double value, const std::vector<double>& values) {
    return Estimate{value, PercentileInterval(values, options.confidence)};
  };

  std::uint64_t right = 0;
  for (std::size_t k = 0; k < classes; ++k) {
    std::uint64_t given = 0;
    std::uint64_t predicted = 0;
    for (std::size_t j = 0; j < classes; ++j) {
      given += report.confusion[k * classes + j];
      predicted += report.confusion[j * classes + k];
    }
    const std::uint64_t hit = report.confusion[k * classes + k];
    right += hit;
    report.classes.push_back({Rate(hit, predicted, options.confidence),
                              Rate(hit, given, options.confidence),
                              estimate(figures.f1[k], resampled.f1[k])});
  }
  report.accuracy = Rate(right, labels.size(), options.confidence);
  report.balanced_accuracy = estimate(figures.balanced_accuracy, resampled.balanced_accuracy);
  report.macro_f1 = estimate(figures.macro_f1, resampled.macro_f1);
  report.matthews = estimate(figures.matthews, resampled.matthews);
  const std::vector<std::uint32_t> once(labels.size(), 1);
  report.calibration_error =
      estimate(CalibrationError(outcomes, labels, once), resampled.calibration_error);
  report.log_loss = estimate(std::accumulate(outcomes.loss.begin(), outcomes.loss.end(), 0.0) /
                                 static_cast<double>(labels.size()),
                             resampled.log_loss);
  report.predicted = std::move(outcomes.predicted);
  return report;
}

Result<double> Imbalance(std::span<const std::uint64_t> counts) {
  if (counts.empty()) return Bad("there are no classes");
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  if (*least == 0) return std::numeric_limits<double>::infinity();
  return static_cast<double>(*most) / static_cast<double>(*least);
}

Result<std::vector<double>> InverseFrequencyWeights(std::span<const std::uint64_t> counts) {
  std::vector<double> weights;
  for (const std::uint64_t count : counts) {
    weights.push_back(count == 0 ? 0 : 1 / static_cast<double>(count));
  }
  return Normalized(std::move(weights), counts);
}

Result<std::vector<double>> EffectiveNumberWeights(std::span<const std::uint64_t> counts,
                                                   double beta) {
  if (!(beta >= 0 && beta < 1)) return Bad("beta is 0 or more and below 1");
  std::vector<double> weights;
  for (const std::uint64_t count : counts) {
    weights.push_back(count == 0 ? 0
                                 : (1 - beta) / (1 - std::pow(beta, static_cast<double>(count))));
  }
  return Normalized(std::move(weights), counts);
}

double NearestRank(std::span<const double> sorted, double share) {
  const double rank = std::ceil(share * static_cast<double>(sorted.size()));
  const auto index =
      static_cast<std::size_t>(std::clamp(rank - 1, 0.0, static_cast<double>(sorted.size() - 1)));
  return sorted[index];
}

}  // namespace tidewheel::stats
