#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// Counts over edges that are fixed beforehand, so that histograms of many nodes add up exactly: a
/// merge is associative and commutative, and merged equals whole bit by bit.
///
/// Bin i counts edges[i] <= x < edges[i+1], the last bin its upper edge too (as numpy.histogram).
/// What lies outside is counted below or above; NaN is missing and only counted. Not thread-safe
/// for writers; any number of readers.
class FixedHistogram {
 public:
  static constexpr std::size_t kMostBins = std::size_t{1} << 20;

  /// kInvalidArgument: fewer than two edges, more than kMostBins bins, edges that are not finite or
  /// do not rise (the message names the edge).
  static Result<FixedHistogram> WithEdges(std::vector<double> edges);
  /// `bins` equal bins from `low` to `high`, edges as numpy.linspace; adding is O(1) a value
  /// instead of O(log bins). kInvalidArgument also: bins too narrow for a double.
  static Result<FixedHistogram> Uniform(double low, double high, std::size_t bins);

  /// kInvalidArgument: an infinite value, named by its position. Nothing is added then.
  Result<void> Add(double value);
  Result<void> Add(std::span<const double> values);
  Result<void> Add(std::span<const float> values);
  /// kInvalidArgument: other edges. kOutOfRange: more than 2^62 values in all.
  Result<void> Merge(const FixedHistogram& other);

  const std::vector<double>& edges() const { return edges_; }
  const std::vector<std::uint64_t>& counts() const { return counts_; }
  std::uint64_t below() const { return below_; }
  std::uint64_t above() const { return above_; }
  std::uint64_t missing() const { return missing_; }
  /// Values that are not missing, inside the edges or not.
  std::uint64_t count() const;

  std::string ToBytes() const;
  /// kInvalidArgument: bytes that ToBytes() of this version did not write.
  static Result<FixedHistogram> FromBytes(std::string_view bytes);

  friend bool operator==(const FixedHistogram&, const FixedHistogram&) = default;

 private:
  FixedHistogram(std::vector<double> edges, bool uniform);
  template <typename T>
  Result<void> AddAll(std::span<const T> values);
  std::size_t Bin(double value) const;

  std::vector<double> edges_;
  double bins_per_unit_ = 0;  // 0: the edges are not uniform.
  std::vector<std::uint64_t> counts_;
  std::uint64_t below_ = 0;
  std::uint64_t above_ = 0;
  std::uint64_t missing_ = 0;
};

}  // namespace tidewheel::stats
