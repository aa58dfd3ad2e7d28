#include "tidewheel/labels/random_control.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "tidewheel/stats/special.h"

namespace tidewheel::labels {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> CheckInput(std::span<const double> values, std::span<const double> probabilities,
                        std::uint64_t population, double confidence) {
  if (values.empty()) return Bad("there are no samples");
  if (values.size() != probabilities.size()) {
    return Bad(std::to_string(values.size()) + " values need as many probabilities, not " +
               std::to_string(probabilities.size()));
  }
  if (population < values.size()) {
    return Bad(std::to_string(values.size()) + " samples of a population of " +
               std::to_string(population));
  }
  if (!(confidence > 0 && confidence < 1)) return Bad("confidence is above 0 and below 1");
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return Bad("sample " + std::to_string(i) + ": the value is not finite");
    }
    if (!(probabilities[i] > 0 && probabilities[i] <= 1)) {
      return Bad("sample " + std::to_string(i) +
                 ": an inclusion probability is above 0 and at most 1");
    }
  }
  if (values.size() == 1) {
    return Error{ErrorCode::kFailedPrecondition,
                 "not applicable, because 1 sample tells no interval"};
  }
  return {};
}

/// t with P(|T| <= t) = confidence, by bisection of the distribution function.
double StudentQuantile(double confidence, double degrees) {
  const auto inside = [&](double t) {
    return 1 - stats::RegularizedBeta(degrees / 2, 0.5, degrees / (degrees + t * t));
  };
  double low = 0;
  double high = 1;
  while (inside(high) < confidence && high < 1e12) high *= 2;
  for (int step = 0; step < 100; ++step) {
    const double middle = std::midpoint(low, high);
    (inside(middle) < confidence ? low : high) = middle;
  }
  return high;
}

/// Wilson's interval for a number of samples that need not be whole.
stats::Interval Wilson(double rate, double samples, double confidence) {
  const double z = stats::NormalQuantile(1 - (1 - confidence) / 2);
  const double squared = z * z / samples;
  const double centre = rate + squared / 2;
  const double reach = z * std::sqrt(rate * (1 - rate) / samples + squared / (4 * samples));
  return {std::clamp((centre - reach) / (1 + squared), 0.0, rate),
          std::clamp((centre + reach) / (1 + squared), rate, 1.0)};
}

bool IsRate(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return v == 0 || v == 1; });
}

}  // namespace

Result<InverseWeightEstimate> EstimateWithInverseWeights(std::span<const double> values,
                                                         std::span<const double> probabilities,
                                                         std::uint64_t population,
                                                         double confidence) {
  if (const auto good = CheckInput(values, probabilities, population, confidence); !good) {
    return good.error();
  }
  const auto count = static_cast<double>(values.size());
  double weights = 0;
  double squares = 0;
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double weight = 1 / probabilities[i];
    weights += weight;
    squares += weight * weight;
    sum += weight * values[i];
  }
  InverseWeightEstimate estimate;
  estimate.samples = values.size();
  estimate.effective_samples = weights * weights / squares;
  estimate.horvitz_thompson = sum / static_cast<double>(population);
  estimate.hajek = sum / weights;

  double spread = 0;    // Of the terms of the Horvitz-Thompson mean.
  double residual = 0;  // Of the linearised ratio.
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double weight = 1 / probabilities[i];
    const double term = count * weight * values[i] / static_cast<double>(population);
    spread += std::pow(term - estimate.horvitz_thompson, 2);
    residual += std::pow(weight / weights * (values[i] - estimate.hajek), 2);
  }
  const double t = StudentQuantile(confidence, count - 1);
  const double reach = t * std::sqrt(spread / (count - 1) / count);
  estimate.horvitz_thompson_interval = {estimate.horvitz_thompson - reach,
                                        estimate.horvitz_thompson + reach};
  if (IsRate(values)) {
    // A weighted mean of zeros and ones may leave 0 to 1 by a rounding.
    estimate.hajek = std::clamp(estimate.hajek, 0.0, 1.0);
    const double binomial = estimate.hajek * (1 - estimate.hajek);
    const double like = residual > 0 && binomial > 0 ? std::min(binomial / residual, count)
                                                     : estimate.effective_samples;
    estimate.hajek_interval = Wilson(estimate.hajek, like, confidence);
  } else {
    const double around = t * std::sqrt(residual * count / (count - 1));
    estimate.hajek_interval = {estimate.hajek - around, estimate.hajek + around};
  }
  return estimate;
}

Result<GainOverRandom> MeasureGain(std::span<const double> chosen, std::span<const double> control,
                                   std::span<const double> control_probabilities,
                                   std::uint64_t population, double confidence) {
  const auto random =
      EstimateWithInverseWeights(control, control_probabilities, population, confidence);
  if (!random) return Prefixed("control: ", random.error());
  if (chosen.empty()) return Bad("nothing was chosen");
  if (!IsRate(chosen) || !IsRate(control)) return Bad("whether an item was worth it is 0 or 1");
  const auto hits = static_cast<std::uint64_t>(std::count(chosen.begin(), chosen.end(), 1.0));
  const auto interval = stats::WilsonInterval(hits, chosen.size(), confidence);
  if (!interval) return interval.error();

  GainOverRandom gain;
  gain.chosen_rate = static_cast<double>(hits) / static_cast<double>(chosen.size());
  gain.chosen_interval = *interval;
  gain.random_rate = random->hajek;
  gain.random_interval = random->hajek_interval;
  gain.difference = gain.chosen_rate - gain.random_rate;
  gain.difference_interval = {
      gain.difference - std::hypot(gain.chosen_rate - gain.chosen_interval.low,
                                   gain.random_interval.high - gain.random_rate),
      gain.difference + std::hypot(gain.chosen_interval.high - gain.chosen_rate,
                                   gain.random_rate - gain.random_interval.low)};
  gain.lift = gain.random_rate > 0   ? gain.chosen_rate / gain.random_rate
              : gain.chosen_rate > 0 ? std::numeric_limits<double>::infinity()
                                     : 1;
  return gain;
}

}  // namespace tidewheel::labels
