#include "tidewheel/stats/mcnemar.h"

#include <algorithm>
#include <cmath>

#include "tidewheel/stats/special.h"

namespace tidewheel::stats {
namespace {

constexpr std::uint64_t kExactBelow = 25;

}  // namespace

Result<McNemarTest> McNemar(std::uint64_t only_first_right, std::uint64_t only_second_right) {
  constexpr std::uint64_t kMost = 1ULL << 62;
  if (only_first_right > kMost || only_second_right > kMost) {
    return Error{ErrorCode::kInvalidArgument, "counts above 2^62 are not counts of samples"};
  }
  McNemarTest test;
  const std::uint64_t total = only_first_right + only_second_right;
  const std::uint64_t fewer = std::min(only_first_right, only_second_right);
  if (total < kExactBelow) {
    test.exact = true;
    test.p_value = std::min(
        1.0, 2 * BinomialCdf(static_cast<long long>(fewer), static_cast<long long>(total), 0.5));
    return test;
  }
  const double difference =
      std::abs(static_cast<double>(only_first_right) - static_cast<double>(only_second_right));
  const double corrected = std::max(0.0, difference - 1);
  test.statistic = corrected * corrected / static_cast<double>(total);
  test.p_value = ChiSquareTail(test.statistic, 1);
  return test;
}

}  // namespace tidewheel::stats
