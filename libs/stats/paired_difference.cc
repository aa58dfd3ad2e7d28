#include "tidewheel/stats/paired_difference.h"

#include <algorithm>
#include <cmath>

#include "tidewheel/stats/special.h"

namespace tidewheel::stats {
namespace {

constexpr double kFarthest = 38;  // Standard deviations: beyond it a tail is 0 in double precision.
constexpr int kHalvings = 100;

Error Bad(const char* message) { return {ErrorCode::kInvalidArgument, message}; }

struct Reach {
  double below = 0;
  double above = 0;
};

/// How far Wilson's interval of `z` deviations reaches from the rate.
Reach WilsonReach(double successes, double trials, double z) {
  const double rate = successes / trials;
  const double scale = trials + z * z;
  const double centre = (successes + z * z / 2) / scale;
  const double half = z * std::sqrt(successes * (1 - rate) + z * z / 4) / scale;
  return {std::max(0.0, rate - std::max(0.0, centre - half)),
          std::max(0.0, std::min(1.0, centre + half) - rate)};
}

double CorrectedCorrelation(const PairedCounts& counts) {
  const auto both = static_cast<double>(counts.both_right);
  const auto baseline = static_cast<double>(counts.only_baseline_right);
  const auto candidate = static_cast<double>(counts.only_candidate_right);
  const auto neither = static_cast<double>(counts.neither_right);
  const double spread = std::sqrt(both + candidate) * std::sqrt(baseline + neither) *
                        std::sqrt(both + baseline) * std::sqrt(candidate + neither);
  if (spread == 0) return 0;
  double association = both * neither - baseline * candidate;
  if (association > 0) {
    association = std::max(0.0, association - static_cast<double>(counts.total()) / 2);
  }
  return association / spread;
}

Interval IntervalOf(const PairedCounts& counts, double z) {
  const auto total = static_cast<double>(counts.total());
  const Reach candidate = WilsonReach(static_cast<double>(counts.candidate_right()), total, z);
  const Reach baseline = WilsonReach(static_cast<double>(counts.baseline_right()), total, z);
  const double correlation = CorrectedCorrelation(counts);
  const auto joined = [&](double a, double b) {
    return std::sqrt(std::max(0.0, a * a - 2 * correlation * a * b + b * b));
  };
  const double difference = counts.difference();
  return {std::max(-1.0, difference - joined(candidate.below, baseline.above)),
          std::min(1.0, difference + joined(candidate.above, baseline.below))};
}

}  // namespace

double PairedCounts::difference() const {
  return (static_cast<double>(only_candidate_right) - static_cast<double>(only_baseline_right)) /
         static_cast<double>(total());
}

Result<Interval> PairedDifferenceInterval(const PairedCounts& counts, double confidence) {
  if (counts.total() == 0) return Bad("an interval of a difference needs samples");
  if (!(confidence > 0 && confidence < 1)) return Bad("confidence is above 0 and below 1");
  return IntervalOf(counts, NormalQuantile(0.5 + confidence / 2));
}

Result<double> PairedDifferencePValue(const PairedCounts& counts, double bound) {
  if (counts.total() == 0) return Bad("a test of a difference needs samples");
  if (!(bound > -1 && bound < 1)) return Bad("the bound of a difference is above -1 and below 1");
  const double difference = counts.difference();
  if (difference == bound) return 0.5;
  const bool worse = difference < bound;
  double near = 0;
  double far = kFarthest;
  for (int i = 0; i < kHalvings; ++i) {
    const double z = near + (far - near) / 2;
    const Interval interval = IntervalOf(counts, z);
    const bool reached = worse ? interval.high >= bound : interval.low <= bound;
    (reached ? far : near) = z;
  }
  return worse ? NormalCdf(-near) : NormalCdf(near);
}

}  // namespace tidewheel::stats
