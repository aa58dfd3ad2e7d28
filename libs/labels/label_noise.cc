#include "tidewheel/labels/label_noise.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "tidewheel/base/random.h"
#include "tidewheel/labels/internal/chunks.h"
#include "tidewheel/labels/internal/row_votes.h"
#include "tidewheel/labels/label_errors.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::labels {
namespace {

constexpr std::size_t kMostClasses = 4096;
constexpr std::uint32_t kFewestReplicates = 20;

Result<void> CheckConfidence(double confidence) {
  if (confidence > 0 && confidence < 1) return {};
  return Error{ErrorCode::kInvalidArgument,
               "confidence is " + std::to_string(confidence) + ", not between 0 and 1"};
}

/// Where the beta distribution with these parameters reaches p.
double BetaQuantile(double a, double b, double p) {
  double low = 0;
  double high = 1;
  for (int halving = 0; halving < 60; ++halving) {
    const double middle = (low + high) / 2;
    (stats::RegularizedBeta(a, b, middle) < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

/// The share off the diagonal before rounding, of counts alone.
double ShareOffDiagonal(std::span<const std::uint64_t> diagonal,
                        std::span<const std::uint64_t> off_diagonal,
                        std::span<const std::uint64_t> class_counts) {
  double wrong = 0;
  double examples = 0;
  for (std::size_t given = 0; given < diagonal.size(); ++given) {
    const auto right = static_cast<double>(std::max<std::uint64_t>(diagonal[given], 1));
    const auto off = static_cast<double>(off_diagonal[given]);
    wrong += static_cast<double>(class_counts[given]) * off / (right + off);
    examples += static_cast<double>(class_counts[given]);
  }
  return wrong / examples;
}

/// One resample of the examples after another, on one thread.
template <typename T>
class Resampling {
 public:
  Resampling(const LabelErrorScan<T>& scan, VoteRule rule)
      : rule_(rule),
        probabilities_(scan.probabilities()),
        labels_(scan.labels()),
        drawn_(labels_.size()),
        given_(labels_.size()) {
    for (std::size_t i = 0; i < given_.size(); ++i) {
      given_[i] = internal::Clipped(probabilities_.Row(i)[static_cast<std::size_t>(labels_[i])]);
    }
  }

  double Rate(std::uint64_t seed) {
    Random random(seed);
    std::fill(drawn_.begin(), drawn_.end(), 0U);
    for (std::size_t i = 0; i < drawn_.size(); ++i) ++drawn_[random.Below(drawn_.size())];

    const std::size_t classes = probabilities_.columns;
    std::vector<internal::ProbabilitySum> sums(classes);
    std::vector<std::uint64_t> counts(classes);
    for (std::size_t i = 0; i < drawn_.size(); ++i) {
      const auto label = static_cast<std::size_t>(labels_[i]);
      for (std::uint32_t n = 0; n < drawn_[i]; ++n) {
        sums[label].Add(static_cast<double>(given_[i]));
      }
      counts[label] += drawn_[i];
    }
    const auto cuts = internal::MakeCuts<T>(internal::Thresholds(sums, counts), rule_);
    return Count(cuts, counts);
  }

 private:
  double Count(const internal::Cuts<T>& cuts, std::span<const std::uint64_t> counts) {
    std::vector<std::uint64_t> diagonal(counts.size());
    std::vector<std::uint64_t> off_diagonal(counts.size());
    // The scan has read these rows, so that nothing in them can be refused.
    (void)internal::ReadRows<T>(probabilities_.values, probabilities_.columns, labels_, cuts, 0,
                                scratch_, [&](std::size_t i, const internal::RowVote<T>& vote) {
                                  if (vote.voted < 0) return;
                                  const auto label = static_cast<std::size_t>(labels_[i]);
                                  (vote.voted == labels_[i] ? diagonal : off_diagonal)[label] +=
                                      drawn_[i];
                                });
    return ShareOffDiagonal(diagonal, off_diagonal, counts);
  }

  VoteRule rule_;
  MatrixView<T> probabilities_;
  std::span<const std::int32_t> labels_;
  std::vector<std::uint32_t> drawn_;  // How often each example is in the resample.
  std::vector<T> given_;
  internal::RowScratch<T> scratch_;
};

double RateOf(const ConfidentJoint& joint) {
  std::uint64_t right = 0;
  for (const JointCell& cell : joint.cells) right += cell.given == cell.voted ? cell.calibrated : 0;
  return static_cast<double>(joint.examples - right) / static_cast<double>(joint.examples);
}

}  // namespace

Result<LabelNoise> EstimateLabelNoise(const ConfidentJoint& joint) {
  const std::size_t classes = joint.classes;
  if (classes == 0 || joint.examples == 0 || classes > kMostClasses) {
    return Error{ErrorCode::kInvalidArgument,
                 "a joint of " + std::to_string(classes) + " classes and " +
                     std::to_string(joint.examples) +
                     " examples; noise matrices are for 1 to 4096 classes and some examples"};
  }
  LabelNoise noise;
  noise.classes = classes;
  noise.joint.resize(classes * classes);
  noise.noise.resize(classes * classes);
  noise.inverse_noise.resize(classes * classes);
  noise.true_share.resize(classes);
  std::vector<std::uint64_t> truly(classes);
  for (const JointCell& cell : joint.cells) {
    truly[static_cast<std::size_t>(cell.voted)] += cell.calibrated;
  }
  for (const JointCell& cell : joint.cells) {
    const auto given = static_cast<std::size_t>(cell.given);
    const auto voted = static_cast<std::size_t>(cell.voted);
    const auto count = static_cast<double>(cell.calibrated);
    noise.joint[given * classes + voted] = count / static_cast<double>(joint.examples);
    if (truly[voted] > 0) {
      noise.noise[given * classes + voted] = count / static_cast<double>(truly[voted]);
    }
    if (joint.class_counts[given] > 0) {
      noise.inverse_noise[voted * classes + given] =
          count / static_cast<double>(joint.class_counts[given]);
    }
  }
  for (std::size_t k = 0; k < classes; ++k) {
    noise.true_share[k] = static_cast<double>(truly[k]) / static_cast<double>(joint.examples);
    if (truly[k] == 0) noise.noise[k * classes + k] = 1;
    if (joint.class_counts[k] == 0) noise.inverse_noise[k * classes + k] = 1;
  }
  return noise;
}

Result<LabelErrorRate> EstimateErrorRate(const ConfidentJoint& joint, double confidence) {
  if (const auto good = CheckConfidence(confidence); !good) return good.error();
  if (joint.examples == 0) return Error{ErrorCode::kInvalidArgument, "a joint of no examples"};

  const auto examples = static_cast<double>(joint.examples);
  double mean = 0;
  double smoothed = 0;
  double square = 0;
  double variance = 0;
  double votes = 0;
  for (std::size_t given = 0; given < joint.classes; ++given) {
    double off = 0;
    double all = 0;
    for (const JointCell& cell : joint.Row(given)) {
      all += static_cast<double>(cell.confident);
      if (cell.voted != cell.given) off += static_cast<double>(cell.confident);
    }
    const double weight = static_cast<double>(joint.class_counts[given]) / examples;
    const double share = (off + 0.5) / (all + 1);
    mean += weight * off / all;
    smoothed += weight * share;
    square += weight * share * share;
    variance += weight * weight * share * (1 - share) / (all + 1);
    votes += all;
  }
  variance += (square - smoothed * smoothed) / examples;
  // At neither end, where there is no such distribution.
  const double least = 0.5 / (votes + 1);
  mean = std::clamp(mean, least, 1 - least);

  LabelErrorRate rate;
  rate.rate = RateOf(joint);
  // Of the beta distribution: a + b. One example is the least that can have been seen.
  const double size = std::max(mean * (1 - mean) / variance - 1, 1.0);
  const double tail = (1 - confidence) / 2;
  rate.low = std::min(rate.rate, BetaQuantile(mean * size, (1 - mean) * size, tail));
  rate.high = std::max(rate.rate, BetaQuantile(mean * size, (1 - mean) * size, 1 - tail));
  return rate;
}

template <typename T>
Result<LabelErrorRate> BootstrapErrorRate(MatrixView<T> probabilities,
                                          std::span<const std::int32_t> labels,
                                          const LabelErrorBootstrapOptions& options) {
  if (const auto good = CheckConfidence(options.confidence); !good) return good.error();
  if (options.replicates < kFewestReplicates) {
    return Error{ErrorCode::kInvalidArgument, std::to_string(options.replicates) +
                                                  " replicates; an interval needs at least " +
                                                  std::to_string(kFewestReplicates)};
  }
  const auto scan = LabelErrorScan<T>::Read(probabilities, labels,
                                            {.votes = options.votes, .threads = options.threads});
  if (!scan) return scan.error();

  std::vector<double> rates(options.replicates);
  std::vector<Resampling<T>> resampling(internal::ThreadsFor(rates.size(), options.threads),
                                        Resampling<T>(*scan, options.votes));
  internal::ForEachChunk(
      rates.size(), options.threads, [&](std::size_t replicate, std::size_t thread) {
        rates[replicate] =
            resampling[thread].Rate(options.seed + 0x9E3779B97F4A7C15ULL * replicate);
      });
  std::sort(rates.begin(), rates.end());
  const auto percentile = [&](double p) {
    const double place = p * static_cast<double>(rates.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, rates.size() - 1);
    return rates[below] + (place - static_cast<double>(below)) * (rates[above] - rates[below]);
  };
  const double tail = (1 - options.confidence) / 2;
  LabelErrorRate rate;
  rate.rate = RateOf(scan->joint());
  rate.low = std::min(rate.rate, percentile(tail));
  rate.high = std::max(rate.rate, percentile(1 - tail));
  return rate;
}

template Result<LabelErrorRate> BootstrapErrorRate(MatrixView<float>, std::span<const std::int32_t>,
                                                   const LabelErrorBootstrapOptions&);
template Result<LabelErrorRate> BootstrapErrorRate(MatrixView<double>,
                                                   std::span<const std::int32_t>,
                                                   const LabelErrorBootstrapOptions&);

}  // namespace tidewheel::labels
