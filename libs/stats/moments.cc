#include "tidewheel/stats/moments.h"

#include <algorithm>
#include <cmath>

#include "tidewheel/stats/internal/lane_sums.h"
#include "tidewheel/stats/internal/power_sums.h"
#include "tidewheel/stats/internal/samples.h"
#include "tidewheel/stats/internal/sketch_bytes.h"
#include "tidewheel/stats/internal/target_clones.h"

namespace tidewheel::stats {
namespace {

constexpr std::uint64_t kMostValues = std::uint64_t{1} << 62;
constexpr double kLeastSpread = 1e-70;
constexpr std::string_view kKind = "TWMO";
constexpr std::uint8_t kVersion = 1;

template <typename T>
__attribute__((always_inline)) inline void SumPowers(std::span<const T> block,
                                                     Moments::PowerSums& sums) {
  internal::LaneSums lanes(internal::Pivot(block));
  const std::size_t whole = block.size() / internal::kLanes * internal::kLanes;
  for (std::size_t i = 0; i < whole; i += internal::kLanes) {
    internal::Doubles4 value;
    internal::Load(block.data() + i, value);
    lanes.Take(0, value);
    internal::Load(block.data() + i + 4, value);
    lanes.Take(1, value);
  }
  lanes.Finish(block.subspan(whole), block.size(), sums);
}

TIDEWHEEL_TARGET_CLONES void SumBlock(std::span<const double> block, Moments::PowerSums& sums) {
  SumPowers(block, sums);
}

TIDEWHEEL_TARGET_CLONES void SumBlock(std::span<const float> block, Moments::PowerSums& sums) {
  SumPowers(block, sums);
}

Error NoValue() { return internal::NotApplicable("there is no value"); }

}  // namespace

Result<void> Moments::Add(double value) { return Add(std::span(&value, 1)); }
Result<void> Moments::Add(std::span<const double> values) { return AddBlocks(values); }
Result<void> Moments::Add(std::span<const float> values) { return AddBlocks(values); }

template <typename T>
Result<void> Moments::AddBlocks(std::span<const T> values) {
  Moments added = *this;
  for (std::size_t begin = 0; begin < values.size(); begin += internal::kBlockValues) {
    const auto block =
        values.subspan(begin, std::min(internal::kBlockValues, values.size() - begin));
    PowerSums sums;
    SumBlock(block, sums);
    if (sums.max > kLargest || sums.min < -kLargest) {
      return internal::TooLarge(
          block, [&](std::size_t i) { return "value " + std::to_string(begin + i); });
    }
    added.Join(FromPowerSums(sums));
  }
  *this = added;
  return {};
}

Result<void> Moments::Merge(const Moments& other) {
  if (count_ + missing_ + other.count_ + other.missing_ > kMostValues) {
    return Error{ErrorCode::kOutOfRange, "moments count at most 2^62 values"};
  }
  Join(other);
  return {};
}

void Moments::Join(const Moments& other) {
  missing_ += other.missing_;
  if (other.count_ == 0) return;
  if (count_ == 0) {
    const std::uint64_t missing = missing_;
    *this = other;
    missing_ = missing;
    return;
  }
  const auto a = static_cast<double>(count_);
  const auto b = static_cast<double>(other.count_);
  const double n = a + b;
  const double share = b / n;
  const double d = (other.origin_ - origin_) + (other.offset_ - offset_);
  const double d2 = d * d;
  // Pebay 2008, equations 3.1 and 3.2 for orders 2 to 4.
  fourth_ += other.fourth_ + d2 * d2 * a * share * (a / n * a / n - a / n * share + share * share) +
             6 * d2 * (a / n * a / n * other.second_ + share * share * second_) +
             4 * d * (a / n * other.third_ - share * third_);
  third_ += other.third_ + d2 * d * a * share * (a - b) / n +
            3 * d * (a / n * other.second_ - share * second_);
  second_ += other.second_ + d2 * a * share;
  offset_ += d * share;
  count_ += other.count_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

Result<double> Moments::Min() const {
  if (count_ == 0) return NoValue();
  return min_;
}

Result<double> Moments::Max() const {
  if (count_ == 0) return NoValue();
  return max_;
}

Result<double> Moments::Mean() const {
  if (count_ == 0) return NoValue();
  return origin_ + offset_;
}

Result<double> Moments::Variance(unsigned ddof) const {
  if (count_ <= ddof) {
    return internal::NotApplicable(std::to_string(count_) + " values are not more than ddof " +
                                   std::to_string(ddof));
  }
  return second_ / static_cast<double>(count_ - ddof);
}

Result<double> Moments::StandardDeviation(unsigned ddof) const {
  const auto variance = Variance(ddof);
  if (!variance) return variance.error();
  return std::sqrt(*variance);
}

Result<double> Moments::Skewness() const {
  const auto spread = StandardDeviation();
  if (!spread) return NoValue();
  if (min_ == max_ || *spread < kLeastSpread) {
    return internal::NotApplicable("all values are equal, or their spread is below 1e-70");
  }
  return third_ / static_cast<double>(count_) / (*spread * *spread * *spread);
}

Result<double> Moments::ExcessKurtosis() const {
  const auto spread = StandardDeviation();
  if (!spread) return NoValue();
  if (min_ == max_ || *spread < kLeastSpread) {
    return internal::NotApplicable("all values are equal, or their spread is below 1e-70");
  }
  const double variance = *spread * *spread;
  return fourth_ / static_cast<double>(count_) / (variance * variance) - 3;
}

Moments Moments::FromPowerSums(const PowerSums& sums) {
  Moments moments;
  moments.missing_ = sums.missing;
  if (sums.count == 0) return moments;
  const auto n = static_cast<double>(sums.count);
  const double m = sums.first / n;
  const double m2 = m * m;
  moments.count_ = sums.count;
  moments.min_ = sums.min;
  moments.max_ = sums.max;
  moments.origin_ = sums.pivot;
  moments.offset_ = m;
  // Rounding must not make an even power negative.
  moments.second_ = std::max(0.0, sums.second - n * m2);
  moments.third_ = sums.third - 3 * m * sums.second + 2 * n * m2 * m;
  moments.fourth_ =
      std::max(0.0, sums.fourth - 4 * m * sums.third + 6 * m2 * sums.second - 3 * n * m2 * m2);
  return moments;
}

std::string Moments::ToBytes() const {
  internal::SketchWriter writer(kKind, kVersion);
  writer.U64(count_);
  writer.U64(missing_);
  for (const double number : {origin_, offset_, second_, third_, fourth_, min_, max_}) {
    writer.F64(number);
  }
  return std::move(writer).Seal();
}

Result<Moments> Moments::FromBytes(std::string_view bytes) {
  internal::SketchReader reader("moments", bytes, kKind, kVersion, 85);
  Moments moments;
  moments.count_ = reader.U64();
  moments.missing_ = reader.U64();
  for (double* number : {&moments.origin_, &moments.offset_, &moments.second_, &moments.third_,
                         &moments.fourth_, &moments.min_, &moments.max_}) {
    *number = reader.F64();
  }
  reader.Require(moments.count_ <= kMostValues && moments.missing_ <= kMostValues - moments.count_,
                 "more than 2^62 values");
  if (reader.ok() && moments.count_ == 0) {
    reader.Require(
        moments == Moments{} ||
            [&] {
              Moments empty;
              empty.missing_ = moments.missing_;
              return moments == empty;
            }(),
        "numbers of no values");
  } else {
    const double limit = Moments::kLargest;
    reader.Require(moments.min_ >= -limit && moments.max_ <= limit && moments.min_ <= moments.max_,
                   "the least and the largest value contradict");
    const double mean = moments.origin_ + moments.offset_;
    reader.Require(std::abs(moments.origin_) <= limit &&
                       mean >= moments.min_ - 1e-9 * std::abs(moments.min_) &&
                       mean <= moments.max_ + 1e-9 * std::abs(moments.max_),
                   "the mean is outside the values");
    reader.Require(moments.second_ >= 0 && moments.fourth_ >= 0 && std::isfinite(moments.second_) &&
                       std::isfinite(moments.third_) && std::isfinite(moments.fourth_),
                   "a sum of powers is no such number");
  }
  if (const auto good = reader.Finish(); !good) return good.error();
  return moments;
}

}  // namespace tidewheel::stats
