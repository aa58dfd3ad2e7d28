#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tidewheel/base/result.h"
#include "tidewheel/stats/intervals.h"

namespace tidewheel::labels {

/// What a sample with known inclusion probabilities says of the population it was drawn from.
struct InverseWeightEstimate {
  std::size_t samples = 0;
  double horvitz_thompson = 0;  // Unbiased; may lie outside the range of the values.
  stats::Interval horvitz_thompson_interval;
  double hajek = 0;  // Ratio of two such sums; within the range of the values.
  stats::Interval hajek_interval;
  double effective_samples = 0;  // (sum w)^2 / sum w^2 (Kish 1965): as many as that.
};

/// The mean of a value over a population, from items drawn with known probabilities: the random
/// control of a queue (acquisition_queue.h), whatever its sources chose beside it. Each item stands
/// for 1 / probability. `values` are 0 or 1 for a rate (right or wrong), or any finite numbers.
///
/// Horvitz, Thompson (1952): sum of value / probability over the population's size; interval by
/// Student's t from the spread of its terms, as if drawn with replacement, which is wide rather
/// than narrow. Hajek (1971): the same over the sum of 1 / probability, which varies less where
/// probabilities differ; variance by linearisation; of a rate the interval is Wilson's (1927) for
/// the number of equally likely samples that would have that variance (Korn, Graubard 1998; Kish's
/// number where no sample, or every one, is a 1), so that for equal probabilities it is Wilson's
/// own. O(n).
///
/// kInvalidArgument: no samples, different lengths, a value that is not finite, a probability that
/// is not in (0, 1] (its place), a population smaller than the sample, a confidence outside (0, 1).
/// kFailedPrecondition: one sample, of which no interval can be told.
Result<InverseWeightEstimate> EstimateWithInverseWeights(std::span<const double> values,
                                                         std::span<const double> probabilities,
                                                         std::uint64_t population,
                                                         double confidence = 0.95);

/// What choosing by score has found beside what chance would have.
struct GainOverRandom {
  double chosen_rate = 0;
  stats::Interval chosen_interval;  // Wilson.
  double random_rate = 0;           // Hajek, of the control.
  stats::Interval random_interval;
  double difference = 0;
  stats::Interval difference_interval;  // Of both intervals (Newcombe 1998, method 10).
  double lift = 0;  // Chosen over random rate: 1 is no gain; infinite where chance found nothing.
};

/// `chosen` and `control`: whether each item was worth labeling (1) or not (0), for instance a
/// model error or a label that changed. Errors as EstimateWithInverseWeights, and kInvalidArgument
/// for a value that is not 0 or 1, or nothing chosen.
Result<GainOverRandom> MeasureGain(std::span<const double> chosen, std::span<const double> control,
                                   std::span<const double> control_probabilities,
                                   std::uint64_t population, double confidence = 0.95);

}  // namespace tidewheel::labels
