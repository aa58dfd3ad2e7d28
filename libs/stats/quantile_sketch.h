#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

struct QuantileSketchOptions {
  /// Values kept at the coarsest level, 8 to 65,536; about three and a half times as many in all.
  std::uint32_t k = 512;
  /// Of the coins. Sketches that are to be merged should have different ones, see RankError().
  std::uint64_t seed = 1;
};

/// Ranks and quantiles of a stream in fixed memory, mergeable, with an error that is known.
///
/// KLL (Karnin, Lang, Liberty 2016): levels of values that stand for 2^level each; a level that is
/// full is sorted and every second value of it goes one level up, a coin says which; here the coin
/// of every second time is the opposite of the one before, which halves the variance. The sketch
/// keeps book of what its coins can have done, so RankError() is a proven bound for what really
/// happened, after any merging, and not a rule of thumb. Beforehand it is known that with unit
/// weights one rank is off by at most sqrt(12 ln(2 / (1 - confidence))) / k: 1.6 % for the default
/// k at 99 %. Exact up to k values.
///
/// The rank of x is the share of values <= x. Min and max are exact. NaN is missing and only
/// counted. Merging is commutative and associative as far as the bound goes, not value by value;
/// count, missing, min and max exactly. The same calls in the same order give the same sketch on
/// any machine. About 3.5 k + 8 log2(n) values of memory. Not thread-safe for writers; any number
/// of readers.
class QuantileSketch {
 public:
  static constexpr std::uint32_t kLeastK = 8;
  static constexpr std::uint32_t kMostK = 65'536;

  /// kInvalidArgument: a k outside 8..65,536.
  static Result<QuantileSketch> Create(const QuantileSketchOptions& options = {});

  /// One value that counts `weight` times. O(log k) amortised. kInvalidArgument: an infinite value
  /// or a weight of 0. kOutOfRange: more than 2^62 in all.
  Result<void> Add(double value, std::uint64_t weight = 1);
  /// Many, each once. The same errors name the position; nothing is added then.
  Result<void> Add(std::span<const double> values);
  Result<void> Add(std::span<const float> values);
  /// Adds what another sketch stands for, each value `weight` times. The smaller k holds from then
  /// on. kInvalidArgument: a weight of 0. kOutOfRange: more than 2^62 in all.
  Result<void> Merge(const QuantileSketch& other, std::uint64_t weight = 1);

  /// The share of values <= x, O(size). kFailedPrecondition: no value. kInvalidArgument: a NaN.
  Result<double> Rank(double x) const;
  /// Rank() of many points at once, in the order given. O((size + points) log size).
  Result<std::vector<double>> Cdf(std::span<const double> points) const;
  /// The least value kept whose rank is `share` or more; 0 gives the minimum, 1 the maximum. Errors
  /// as above; kInvalidArgument: a share outside [0, 1].
  Result<double> Quantile(double share) const;
  Result<std::vector<double>> Quantiles(std::span<const double> shares) const;
  Result<double> Min() const;
  Result<double> Max() const;

  /// How far a rank is off at most, with probability `confidence` (0 to 1, both excluded), for each
  /// of `questions` chosen beforehand (Hoeffding 1963, union over the questions); 0 while exact.
  /// For a quantile: `share` is at most so far from the ranks that its value spans. Holds over the
  /// coins for any data that was not made from them; sketches merged with the same seed over the
  /// same data share their coins, and then errors add up.
  double RankError(double confidence = 0.99, std::size_t questions = 1) const;
  /// The k that keeps RankError() at `error` or less for unit weights, whatever comes.
  /// kInvalidArgument: an error or a confidence outside (0, 1). kOutOfRange: a k above 65,536 would
  /// be needed.
  static Result<std::uint32_t> KFor(double error, double confidence = 0.99,
                                    std::size_t questions = 1);

  /// Sum of weights, without missing.
  std::uint64_t count() const { return count_; }
  std::uint64_t missing() const { return missing_; }
  std::uint32_t k() const { return k_; }
  /// Values kept.
  std::size_t size() const { return size_; }

  std::string ToBytes() const;
  /// kInvalidArgument: bytes that ToBytes() of this version did not write.
  static Result<QuantileSketch> FromBytes(std::string_view bytes);

  friend bool operator==(const QuantileSketch&, const QuantileSketch&) = default;

 private:
  struct Weighted {
    double value;
    std::uint64_t up_to;  // Weight of all values up to here.
  };

  QuantileSketch(std::uint32_t k, std::uint64_t seed);
  template <typename T>
  Result<void> AddAll(std::span<const T> values);
  void Put(double value, std::uint64_t weight);
  void SetCapacities();
  void Shrink();
  void Compact(std::size_t level);
  std::vector<Weighted> Sorted() const;

  std::uint32_t k_;
  std::uint64_t coins_;  // State of the generator.
  std::uint64_t count_ = 0;
  std::uint64_t missing_ = 0;
  double min_ = 0;
  double max_ = 0;
  std::vector<std::vector<double>>
      levels_;  // Level h: values that stand for 2^h each, sorted but in level 0.
  std::vector<std::size_t> capacities_;  // Of each level, by k and the number of levels.
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;  // Of all levels together.
  std::uint64_t half_pairs_ =
      0;  // Bit h: the next coin of level h is the opposite of the last one,
  std::uint64_t last_coins_ = 0;  // which is bit h here.
  double squares_ = 0;            // Sum over pairs of compactions of weight^2.
};

}  // namespace tidewheel::stats
