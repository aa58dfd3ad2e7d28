#include "tidewheel/stats/paired_bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

constexpr int kFewestResamples = 100;
constexpr int kMostThreads = 1'024;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

}  // namespace

Result<PairedBootstrapComparison> PairedBootstrap(std::size_t samples,
                                                  const MetricOfSamples& baseline,
                                                  const MetricOfSamples& candidate,
                                                  const PairedBootstrapOptions& options) {
  if (samples == 0) return Bad("there are no samples to compare on");
  if (samples > std::numeric_limits<std::uint32_t>::max()) {
    return Bad(std::to_string(samples) + " samples are more than 2^32 - 1");
  }
  if (!baseline || !candidate) return Bad("a metric is missing");
  if (!(options.confidence > 0 && options.confidence < 1)) {
    return Bad("confidence is above 0 and below 1");
  }
  if (options.resamples < kFewestResamples) {
    return Bad("a bootstrap needs at least " + std::to_string(kFewestResamples) + " resamples");
  }
  if (options.threads < 1 || options.threads > kMostThreads) {
    return Bad("threads are 1 to " + std::to_string(kMostThreads));
  }

  PairedBootstrapComparison comparison;
  {
    std::vector<std::uint32_t> all(samples);
    std::iota(all.begin(), all.end(), 0U);
    comparison.baseline = baseline(all);
    comparison.candidate = candidate(all);
  }
  comparison.difference.value = comparison.candidate - comparison.baseline;
  if (!std::isfinite(comparison.difference.value)) {
    return Error{ErrorCode::kFailedPrecondition,
                 "not applicable, because a metric is not defined for the samples"};
  }

  // A generator per resample: which thread draws it makes no difference.
  std::vector<double> differences(static_cast<std::size_t>(options.resamples));
  const auto threads = static_cast<std::size_t>(options.threads);
  const auto work = [&](std::size_t first) {
    std::vector<std::uint32_t> drawn(samples);
    for (std::size_t round = first; round < differences.size(); round += threads) {
      Random random(options.seed + round * 0x9e3779b97f4a7c15ULL);
      for (std::uint32_t& sample : drawn) {
        sample = static_cast<std::uint32_t>(random.Below(samples));
      }
      differences[round] = candidate(drawn) - baseline(drawn);
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t thread = 1; thread < threads; ++thread) others.emplace_back(work, thread);
    work(0);
  }

  const auto defined = std::remove_if(differences.begin(), differences.end(),
                                      [](double value) { return !std::isfinite(value); });
  comparison.undefined = static_cast<int>(differences.end() - defined);
  differences.erase(defined, differences.end());
  if (comparison.undefined * 10 > options.resamples) {
    return Error{ErrorCode::kFailedPrecondition,
                 "not applicable, because a metric is not defined for " +
                     std::to_string(comparison.undefined) + " of " +
                     std::to_string(options.resamples) + " resamples"};
  }
  std::sort(differences.begin(), differences.end());
  const double tail = (1 - options.confidence) / 2;
  comparison.difference.interval = {NearestRank(differences, tail),
                                    NearestRank(differences, 1 - tail)};
  const auto not_above = std::upper_bound(differences.begin(), differences.end(), 0.0);
  const auto not_below = std::lower_bound(differences.begin(), differences.end(), 0.0);
  const auto fewer =
      static_cast<double>(std::min(not_above - differences.begin(), differences.end() - not_below));
  comparison.p_value =
      std::min(1.0, 2 * (fewer + 1) / (static_cast<double>(differences.size()) + 1));
  return comparison;
}

}  // namespace tidewheel::stats
