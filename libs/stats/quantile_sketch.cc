#include "tidewheel/stats/quantile_sketch.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

#include "tidewheel/stats/internal/samples.h"
#include "tidewheel/stats/internal/sketch_bytes.h"

namespace tidewheel::stats {
namespace {

constexpr std::uint64_t kMostCount = std::uint64_t{1} << 62;
constexpr std::size_t kMostLevels = 63;
constexpr std::size_t kLeastCapacity = 8;  // Of a level.
constexpr double kShrink = 2.0 / 3.0;      // Capacity of a level over that of the one above.
constexpr std::string_view kKind = "TWQS";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMostBytes = std::size_t{4} << 20;

std::uint64_t Mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

Error NoValue() { return internal::NotApplicable("the sketch has no value"); }
Error TooMany() { return {ErrorCode::kOutOfRange, "a quantile sketch counts at most 2^62 values"}; }

bool InsideUnit(double number) { return number > 0 && number < 1; }

double HoeffdingFactor(double confidence, std::size_t questions) {
  const auto asked = static_cast<double>(std::max<std::size_t>(questions, 1));
  return 2 * std::log(2 * asked / (1 - confidence));
}

}  // namespace

QuantileSketch::QuantileSketch(std::uint32_t k, std::uint64_t seed)
    : k_(k), coins_(Mix(seed)), levels_(1) {
  SetCapacities();
}

Result<QuantileSketch> QuantileSketch::Create(const QuantileSketchOptions& options) {
  if (options.k < kLeastK || options.k > kMostK) {
    return internal::Invalid("k of a quantile sketch is 8 to " + std::to_string(kMostK) + ", not " +
                             std::to_string(options.k));
  }
  return QuantileSketch(options.k, options.seed);
}

Result<void> QuantileSketch::Add(double value, std::uint64_t weight) {
  if (std::isinf(value)) return internal::Invalid("the value is infinite");
  if (weight == 0) return internal::Invalid("a weight is 1 or more");
  if (weight > kMostCount - count_ || weight > kMostCount - missing_) return TooMany();
  if (std::isnan(value)) {
    missing_ += weight;
    return {};
  }
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = count_ == 0 ? value : std::max(max_, value);
  count_ += weight;
  Put(value, weight);
  if (size_ > capacity_) Shrink();
  return {};
}

Result<void> QuantileSketch::Add(std::span<const double> values) { return AddAll(values); }
Result<void> QuantileSketch::Add(std::span<const float> values) { return AddAll(values); }

template <typename T>
Result<void> QuantileSketch::AddAll(std::span<const T> values) {
  if (values.size() > kMostCount - count_ || values.size() > kMostCount - missing_) {
    return TooMany();
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isinf(values[i])) {
      return internal::Invalid("value " + std::to_string(i) + " is infinite");
    }
  }
  for (const T raw : values) {
    if (std::isnan(raw)) {
      ++missing_;
      continue;
    }
    const auto value = static_cast<double>(raw);
    min_ = count_ == 0 ? value : std::min(min_, value);
    max_ = count_ == 0 ? value : std::max(max_, value);
    ++count_;
    levels_[0].push_back(value);
    if (++size_ > capacity_) Shrink();
  }
  return {};
}

Result<void> QuantileSketch::Merge(const QuantileSketch& other, std::uint64_t weight) {
  if (weight == 0) return internal::Invalid("a weight is 1 or more");
  __extension__ using Wide = unsigned __int128;
  if (Wide{other.count_} * weight > kMostCount - count_ ||
      Wide{other.missing_} * weight > kMostCount - missing_) {
    return TooMany();
  }
  if (&other == this) return Merge(QuantileSketch(other), weight);
  missing_ += other.missing_ * weight;
  if (other.count_ == 0) return {};
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = count_ == 0 ? other.max_ : std::max(max_, other.max_);
  count_ += other.count_ * weight;
  k_ = std::min(k_, other.k_);
  const auto scale = static_cast<double>(weight);
  squares_ += other.squares_ * scale * scale;
  coins_ = Mix(coins_ + std::rotl(other.coins_, 17));
  if (weight == 1) {
    const std::uint64_t taken = other.half_pairs_ & ~half_pairs_;
    half_pairs_ |= taken;
    last_coins_ = (last_coins_ & ~taken) | (other.last_coins_ & taken);
  }
  for (std::size_t level = 0; level < other.levels_.size(); ++level) {
    for (const double value : other.levels_[level]) Put(value, weight << level);
  }
  SetCapacities();
  Shrink();
  return {};
}

/// A value of weight 5 is one of weight 4 and one of weight 1.
void QuantileSketch::Put(double value, std::uint64_t weight) {
  for (; weight != 0; weight &= weight - 1) {
    const auto level = static_cast<std::size_t>(std::countr_zero(weight));
    if (level >= levels_.size()) {
      levels_.resize(level + 1);
      SetCapacities();
    }
    auto& values = levels_[level];
    values.insert(level == 0 ? values.end() : std::upper_bound(values.begin(), values.end(), value),
                  value);
    ++size_;
  }
}

/// Even, so that a full level leaves nothing behind. The lowest level takes in what is added, and
/// is larger than its weight asks for: values are sorted many at a time.
void QuantileSketch::SetCapacities() {
  capacities_.resize(levels_.size());
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    const auto depth = static_cast<double>(levels_.size() - 1 - level);
    const double share =
        level == 0 ? std::max(0.5, std::pow(kShrink, depth)) : std::pow(kShrink, depth);
    const auto wanted = static_cast<std::size_t>(std::ceil(k_ * share));
    capacities_[level] = std::max(kLeastCapacity, wanted + wanted % 2);
  }
  capacity_ = std::accumulate(capacities_.begin(), capacities_.end(), std::size_t{0});
}

void QuantileSketch::Shrink() {
  while (size_ > capacity_) {
    // More values than all levels may hold together: one of them holds more than its share.
    std::size_t level = 0;
    while (levels_[level].size() < capacities_[level]) ++level;
    Compact(level);
  }
}

void QuantileSketch::Compact(std::size_t level) {
  if (level + 1 == levels_.size()) {
    levels_.emplace_back();
    SetCapacities();
  }
  std::vector<double>& values = levels_[level];
  std::vector<double>& above = levels_[level + 1];
  if (level == 0) std::sort(values.begin(), values.end());

  const std::uint64_t bit = std::uint64_t{1} << level;
  // The first coin of a pair also takes the data in, so that sketches with one seed over different
  // data toss different coins.
  if ((half_pairs_ & bit) == 0) {
    coins_ = Mix(coins_ ^ std::bit_cast<std::uint64_t>(values[values.size() / 2]));
    last_coins_ = (last_coins_ & ~bit) | ((coins_ >> 63) << level);
    const auto weight = static_cast<double>(bit);
    squares_ += weight * weight;
  } else {
    last_coins_ ^= bit;
  }
  half_pairs_ ^= bit;
  const std::size_t offset = (last_coins_ & bit) != 0 ? 1 : 0;
  const std::size_t paired = values.size() / 2 * 2;
  const auto already = static_cast<std::ptrdiff_t>(above.size());
  for (std::size_t i = 0; i < paired; i += 2) above.push_back(values[i + offset]);
  std::inplace_merge(above.begin(), above.begin() + already, above.end());
  // Of an odd number the largest stays.
  values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(paired));
  size_ -= paired / 2;
}

std::vector<QuantileSketch::Weighted> QuantileSketch::Sorted() const {
  std::vector<Weighted> sorted;
  sorted.reserve(size_);
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    for (const double value : levels_[level]) sorted.push_back({value, std::uint64_t{1} << level});
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const Weighted& a, const Weighted& b) { return a.value < b.value; });
  std::uint64_t sum = 0;
  for (Weighted& entry : sorted) entry.up_to = sum += entry.up_to;
  return sorted;
}

Result<double> QuantileSketch::Rank(double x) const {
  if (count_ == 0) return NoValue();
  if (std::isnan(x)) return internal::Invalid("the rank of NaN is asked for");
  if (x < min_) return 0.0;
  if (x >= max_) return 1.0;
  std::uint64_t below = 0;
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    const auto& values = levels_[level];
    below += static_cast<std::uint64_t>(
                 std::count_if(values.begin(), values.end(), [x](double v) { return v <= x; }))
             << level;
  }
  return static_cast<double>(below) / static_cast<double>(count_);
}

Result<std::vector<double>> QuantileSketch::Cdf(std::span<const double> points) const {
  if (count_ == 0) return NoValue();
  const auto sorted = Sorted();
  std::vector<double> ranks;
  ranks.reserve(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double x = points[i];
    if (std::isnan(x)) return internal::Invalid("point " + std::to_string(i) + " is NaN");
    if (x < min_ || x >= max_) {
      ranks.push_back(x < min_ ? 0 : 1);
      continue;
    }
    const auto after =
        std::upper_bound(sorted.begin(), sorted.end(), x,
                         [](double wanted, const Weighted& entry) { return wanted < entry.value; });
    ranks.push_back(after == sorted.begin() ? 0
                                            : static_cast<double>(std::prev(after)->up_to) /
                                                  static_cast<double>(count_));
  }
  return ranks;
}

Result<double> QuantileSketch::Quantile(double share) const {
  const auto values = Quantiles(std::span(&share, 1));
  if (!values) return values.error();
  return values->front();
}

Result<std::vector<double>> QuantileSketch::Quantiles(std::span<const double> shares) const {
  if (count_ == 0) return NoValue();
  const auto sorted = Sorted();
  std::vector<double> values;
  values.reserve(shares.size());
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const double share = shares[i];
    if (!(share >= 0 && share <= 1)) {
      return internal::Invalid("share " + std::to_string(i) + " is outside 0 to 1");
    }
    if (share == 0 || share == 1) {
      values.push_back(share == 0 ? min_ : max_);
      continue;
    }
    const double wanted = share * static_cast<double>(count_);
    const auto found = std::partition_point(
        sorted.begin(), sorted.end(),
        [&](const Weighted& entry) { return static_cast<double>(entry.up_to) < wanted; });
    values.push_back(found == sorted.end() ? max_ : found->value);
  }
  return values;
}

Result<double> QuantileSketch::Min() const {
  if (count_ == 0) return NoValue();
  return min_;
}

Result<double> QuantileSketch::Max() const {
  if (count_ == 0) return NoValue();
  return max_;
}

double QuantileSketch::RankError(double confidence, std::size_t questions) const {
  if (squares_ == 0) return 0;
  if (!InsideUnit(confidence)) return 1;
  // Each pair of compactions moves a rank by one of -w, 0, w with mean 0, whatever the data.
  return std::min(1.0, std::sqrt(HoeffdingFactor(confidence, questions) * squares_) /
                           static_cast<double>(count_));
}

Result<std::uint32_t> QuantileSketch::KFor(double error, double confidence, std::size_t questions) {
  if (!InsideUnit(error)) return internal::Invalid("a rank error is between 0 and 1");
  if (!InsideUnit(confidence)) return internal::Invalid("a confidence is between 0 and 1");
  // Level h is compacted at most n / (2^h k_h) times, k_h = k (2/3)^(H-h), and the top level H has
  // been reached only with n >= k 2^(H-1): the squares of all weights sum up to 6 (n/k)^2 at most.
  // That half of the compactions come free is left out, because merging may part pairs.
  const double k = std::ceil(std::sqrt(6 * HoeffdingFactor(confidence, questions)) / error);
  if (k > kMostK) {
    return Error{ErrorCode::kOutOfRange, "a rank error of " + std::to_string(error) +
                                             " needs a k above " + std::to_string(kMostK)};
  }
  return std::max(kLeastK, static_cast<std::uint32_t>(k));
}

std::string QuantileSketch::ToBytes() const {
  internal::SketchWriter writer(kKind, kVersion);
  writer.U32(k_);
  for (const std::uint64_t word : {coins_, count_, missing_}) writer.U64(word);
  for (const double number : {min_, max_, squares_}) writer.F64(number);
  for (const std::uint64_t word : {half_pairs_, last_coins_}) writer.U64(word);
  writer.U8(static_cast<std::uint8_t>(levels_.size()));
  for (const auto& level : levels_) {
    writer.U32(static_cast<std::uint32_t>(level.size()));
    for (const double value : level) writer.F64(value);
  }
  return std::move(writer).Seal();
}

Result<QuantileSketch> QuantileSketch::FromBytes(std::string_view bytes) {
  internal::SketchReader reader("quantile sketch", bytes, kKind, kVersion, kMostBytes);
  const std::uint32_t k = reader.U32();
  reader.Require(k >= kLeastK && k <= kMostK, "k is not 8 to 65536");
  if (!reader.ok()) return reader.Finish().error();
  QuantileSketch sketch(k, 0);
  for (std::uint64_t* word : {&sketch.coins_, &sketch.count_, &sketch.missing_}) {
    *word = reader.U64();
  }
  for (double* number : {&sketch.min_, &sketch.max_, &sketch.squares_}) *number = reader.F64();
  for (std::uint64_t* word : {&sketch.half_pairs_, &sketch.last_coins_}) *word = reader.U64();
  reader.Require(sketch.count_ <= kMostCount && sketch.missing_ <= kMostCount,
                 "more than 2^62 values");
  reader.Require(
      std::isfinite(sketch.min_) && std::isfinite(sketch.max_) && sketch.min_ <= sketch.max_,
      "the least and the largest value contradict");
  reader.Require(std::isfinite(sketch.squares_) && sketch.squares_ >= 0,
                 "the record of its error is no such number");
  const std::size_t levels = reader.U8();
  reader.Require(levels >= 1 && levels <= kMostLevels, "the number of levels is not 1 to 63");
  if (!reader.ok()) return reader.Finish().error();
  sketch.levels_.resize(levels);
  sketch.SetCapacities();
  std::uint64_t counted = 0;
  for (std::size_t level = 0; level < levels && reader.ok(); ++level) {
    auto& values = sketch.levels_[level];
    values.resize(reader.Entries("values", sketch.capacity_ - sketch.size_, 8));
    sketch.size_ += values.size();
    for (double& value : values) {
      value = reader.F64();
      reader.Require(value >= sketch.min_ && value <= sketch.max_,
                     "a value is outside the least and the largest");
    }
    reader.Require(level == 0 || std::is_sorted(values.begin(), values.end()),
                   "a level is not sorted");
    reader.Require(values.size() <= (sketch.count_ - counted) >> level,
                   "the values stand for more than the count");
    if (reader.ok()) counted += std::uint64_t{values.size()} << level;
  }
  reader.Require(counted == sketch.count_, "the values do not stand for the count");
  if (const auto good = reader.Finish(); !good) return good.error();
  return sketch;
}

}  // namespace tidewheel::stats
