#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {

struct TestColumn {
  std::string name;
  std::vector<double> values;
};

/// Columns of many kinds: smooth, tied, heavy-tailed, constant, far from zero. A new seed gives
/// other values of the same kinds.
inline std::vector<TestColumn> ColumnsOfManyKinds(std::size_t rows, std::uint64_t seed) {
  Random random(seed);
  const auto made = [&](const char* name, auto value) {
    TestColumn column{name, {}};
    column.values.reserve(rows);
    for (std::size_t i = 0; i < rows; ++i) column.values.push_back(value(i));
    return column;
  };
  return {
      made("normal", [&](std::size_t) { return random.Normal(); }),
      made("uniform", [&](std::size_t) { return random.Uniform(); }),
      made("exponential", [&](std::size_t) { return -std::log(1 - random.Uniform()); }),
      made("lognormal", [&](std::size_t) { return std::exp(2 * random.Normal()); }),
      made("cauchy",
           [&](std::size_t) { return std::tan(std::numbers::pi * (random.Uniform() - 0.5)); }),
      made("five values", [&](std::size_t) { return static_cast<double>(random.Below(5)); }),
      made("mostly zero",
           [&](std::size_t) { return random.Below(10) == 0 ? random.Normal() * 100 : 0.0; }),
      made("rarely not zero",
           [&](std::size_t) { return random.Below(5'000) == 0 ? 1e6 * random.Uniform() : 0.0; }),
      made("constant", [&](std::size_t) { return 0.1; }),
      made("far from zero", [&](std::size_t) { return 1e9 + random.Normal(); }),
      made("tiny", [&](std::size_t) { return 1e-12 * random.Normal(); }),
      made("one outlier", [&](std::size_t i) { return i == rows / 3 ? 1e12 : random.Normal(); }),
      made("rising", [&](std::size_t i) { return static_cast<double>(i); }),
      made("two camps",
           [&](std::size_t) { return random.Normal() + (random.Below(2) == 0 ? -40 : 40); }),
  };
}

inline std::vector<double> WithMissing(std::vector<double> values, double share,
                                       std::uint64_t seed) {
  Random random(seed);
  for (double& value : values) {
    if (random.Uniform() < share) value = std::numeric_limits<double>::quiet_NaN();
  }
  return values;
}

}  // namespace tidewheel::stats
