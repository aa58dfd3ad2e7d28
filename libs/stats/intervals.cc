#include "tidewheel/stats/intervals.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "tidewheel/stats/special.h"

namespace tidewheel::stats {

Result<Interval> WilsonInterval(std::uint64_t successes, std::uint64_t trials, double confidence) {
  if (trials == 0) return Error{ErrorCode::kInvalidArgument, "an interval of a rate needs trials"};
  if (successes > trials) {
    return Error{ErrorCode::kInvalidArgument, std::to_string(successes) +
                                                  " successes are more than " +
                                                  std::to_string(trials) + " trials"};
  }
  if (!(confidence > 0 && confidence < 1)) {
    return Error{ErrorCode::kInvalidArgument, "confidence is above 0 and below 1"};
  }
  const double n = static_cast<double>(trials);
  const double rate = static_cast<double>(successes) / n;
  const double z = NormalQuantile(0.5 + confidence / 2);
  const double scale = 1 + z * z / n;
  const double centre = (rate + z * z / (2 * n)) / scale;
  const double half = z * std::sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / scale;
  // At the ends the formula gives exactly 0 and 1 but for rounding.
  return Interval{successes == 0 ? 0 : std::max(0.0, centre - half),
                  successes == trials ? 1 : std::min(1.0, centre + half)};
}

}  // namespace tidewheel::stats
