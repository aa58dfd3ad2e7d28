#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// Count, missing, mean, and the second to fourth central sums of a column, with its least and
/// largest value: 80 bytes that can be merged. NaN is missing and only counted.
///
/// Values are taken in blocks of 64 Ki, each summed about a pivot of its own in eight lanes and
/// merged in order (Chan, Golub, LeVeque 1979; Pebay 2008), and the mean is kept in two parts, so
/// that neither a large mean nor a long column costs digits: about eleven of them are left of the
/// variance and of the shape of a million values around 1e9 that spread by 1. Sums do not depend on
/// the machine. Merging is commutative and associative up to rounding, count, missing, min and max
/// exactly.
///
/// A value may be at most kLargest in size, so that its fourth power stays a number. Not
/// thread-safe for writers; any number of readers.
class Moments {
 public:
  static constexpr double kLargest = 1e70;

  /// O(1) by one (Welford 1962). kInvalidArgument: an infinite value. kOutOfRange: one larger than
  /// kLargest. Nothing is added then.
  Result<void> Add(double value);
  /// O(n) time, O(1) memory. The same errors name the position; nothing is added then.
  Result<void> Add(std::span<const double> values);
  Result<void> Add(std::span<const float> values);
  /// kOutOfRange: more than 2^62 values in all.
  Result<void> Merge(const Moments& other);

  /// Values that are not missing.
  std::uint64_t count() const { return count_; }
  std::uint64_t missing() const { return missing_; }

  /// In the unit of the values. kFailedPrecondition: there is no value.
  Result<double> Min() const;
  Result<double> Max() const;
  Result<double> Mean() const;
  /// Divisor count - `ddof`, as numpy names it. kFailedPrecondition: not more than `ddof` values.
  Result<double> Variance(unsigned ddof = 0) const;
  Result<double> StandardDeviation(unsigned ddof = 0) const;
  /// m3 / m2^1.5 and m4 / m2^2 - 3 of the values themselves (no correction for a sample), as
  /// scipy.stats.skew and kurtosis. kFailedPrecondition: all values are equal, or so nearly that a
  /// fourth power of their spread leaves the range of a double (below 1e-70).
  Result<double> Skewness() const;
  Result<double> ExcessKurtosis() const;

  std::string ToBytes() const;
  /// kInvalidArgument: bytes that ToBytes() of this version did not write.
  static Result<Moments> FromBytes(std::string_view bytes);

  /// Moments from power sums of values about a pivot: what one pass over a block leaves.
  struct PowerSums {
    std::uint64_t count = 0;
    std::uint64_t missing = 0;
    double pivot = 0;
    double first = 0;   // Sum of (x - pivot).
    double second = 0;  // Sum of (x - pivot)^2, and so on.
    double third = 0;
    double fourth = 0;
    double min = std::numeric_limits<double>::infinity();
    double max = -std::numeric_limits<double>::infinity();
  };
  static Moments FromPowerSums(const PowerSums& sums);

  friend bool operator==(const Moments&, const Moments&) = default;

 private:
  template <typename T>
  Result<void> AddBlocks(std::span<const T> values);
  /// Merge() without its limit.
  void Join(const Moments& other);

  std::uint64_t count_ = 0;
  std::uint64_t missing_ = 0;
  // The mean is origin + offset, which has more digits than one number where values are far from 0.
  double origin_ = 0;
  double offset_ = 0;
  double second_ = 0;  // Sum of (x - mean)^2, and so on.
  double third_ = 0;
  double fourth_ = 0;
  double min_ = std::numeric_limits<double>::infinity();
  double max_ = -std::numeric_limits<double>::infinity();
};

}  // namespace tidewheel::stats
