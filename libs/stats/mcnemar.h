#pragma once

#include <cstdint>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

struct McNemarTest {
  double p_value = 1;  // Two-sided.
  bool exact = false;  // By the binomial distribution; else chi-square with continuity correction.
  double statistic = 0;  // Of the chi-square form; 0 when exact.
};

/// McNemar's test (1947) whether two classifiers are right equally often, from the samples on which
/// exactly one of them is. Exact below 25 such samples, with Edwards' correction (1948) above.
/// Without any the p-value is 1.
Result<McNemarTest> McNemar(std::uint64_t only_first_right, std::uint64_t only_second_right);

}  // namespace tidewheel::stats
