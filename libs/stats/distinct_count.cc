#include "tidewheel/stats/distinct_count.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <utility>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/internal/samples.h"
#include "tidewheel/stats/internal/sketch_bytes.h"

namespace tidewheel::stats {
namespace {

constexpr std::string_view kKind = "TWDC";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMostBytes = (std::size_t{1} << DistinctCount::kMostPrecision) + 64;
constexpr std::uint64_t kMostMissing = std::uint64_t{1} << 62;

constexpr std::uint64_t kTextSeed = 1;
constexpr std::uint64_t kIntegerSeed = 0x5851F42D4C957F2DULL;
constexpr std::uint64_t kDoubleSeed = 0x14057B7EF767814FULL;

/// splitmix64's mixer: a bijection, so different numbers of one kind never share a hash.
std::uint64_t Mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

/// Ertl 2017, algorithm 6: the two corrections for registers at the ends of their range.
double Sigma(double x) {
  if (x == 1) return std::numeric_limits<double>::infinity();
  double y = 1;
  double z = x;
  for (double before = -1; z != before;) {
    before = z;
    x *= x;
    z += x * y;
    y += y;
  }
  return z;
}

double Tau(double x) {
  if (x == 0 || x == 1) return 0;
  double y = 1;
  double z = 1 - x;
  for (double before = -1; z != before;) {
    before = z;
    x = std::sqrt(x);
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
  }
  return z / 3;
}

}  // namespace

Result<DistinctCount> DistinctCount::WithPrecision(unsigned precision) {
  if (precision < kLeastPrecision || precision > kMostPrecision) {
    return internal::Invalid("the precision of a distinct count is 7 to 18, not " +
                             std::to_string(precision));
  }
  return DistinctCount(precision);
}

void DistinctCount::Add(std::string_view value) { AddHash(StableHash(value, kTextSeed)); }

void DistinctCount::Add(std::int64_t value) {
  AddHash(Mix(static_cast<std::uint64_t>(value) ^ kIntegerSeed));
}

void DistinctCount::Add(double value) {
  if (std::isnan(value)) {
    ++missing_;
    return;
  }
  if (value == 0) value = 0;  // -0 is 0.
  AddHash(Mix(std::bit_cast<std::uint64_t>(value) ^ kDoubleSeed));
}

void DistinctCount::AddHash(std::uint64_t hash) {
  if (!exact()) return Raise(hash);
  const auto place = std::lower_bound(hashes_.begin(), hashes_.end(), hash);
  if (place != hashes_.end() && *place == hash) return;
  hashes_.insert(place, hash);
  if (hashes_.size() > MostExact()) LeaveExact();
}

void DistinctCount::Raise(std::uint64_t hash) {
  const auto slot = static_cast<std::size_t>(hash >> (64 - precision_));
  // Leading zeros of the rest, plus one; a rest of zeros has 64 - precision of them.
  const std::uint64_t rest = hash << precision_;
  const auto rank = static_cast<std::uint8_t>(
      std::min<int>(std::countl_zero(rest), static_cast<int>(64 - precision_)) + 1);
  registers_[slot] = std::max(registers_[slot], rank);
}

void DistinctCount::LeaveExact() {
  registers_.assign(std::size_t{1} << precision_, 0);
  for (const std::uint64_t hash : hashes_) Raise(hash);
  hashes_ = {};
}

Result<void> DistinctCount::Merge(const DistinctCount& other) {
  if (precision_ != other.precision_) {
    return internal::Invalid("distinct counts of precision " + std::to_string(precision_) +
                             " and " + std::to_string(other.precision_) + " cannot be merged");
  }
  if (other.missing_ > kMostMissing - std::min(missing_, kMostMissing)) {
    return Error{ErrorCode::kOutOfRange, "a distinct count counts at most 2^62 missing values"};
  }
  missing_ += other.missing_;
  if (other.exact()) {
    // Its own hashes never change while they are walked: a set added to itself has nothing new.
    for (const std::uint64_t hash : other.hashes_) AddHash(hash);
    return {};
  }
  if (exact()) LeaveExact();
  for (std::size_t i = 0; i < registers_.size(); ++i) {
    registers_[i] = std::max(registers_[i], other.registers_[i]);
  }
  return {};
}

double DistinctCount::Estimate() const {
  if (exact()) return static_cast<double>(hashes_.size());
  const std::size_t top = 64 - precision_ + 1;
  std::array<double, 64 - kLeastPrecision + 2> having{};
  for (const std::uint8_t rank : registers_) having[rank] += 1;
  const auto m = static_cast<double>(registers_.size());
  double z = m * Tau(1 - having[top] / m);
  for (std::size_t rank = top - 1; rank >= 1; --rank) z = 0.5 * (z + having[rank]);
  z += m * Sigma(having[0] / m);
  return m * m / (2 * std::numbers::ln2 * z);
}

double DistinctCount::StandardError() const {
  return exact() ? 0 : 1.04 / std::sqrt(static_cast<double>(registers_.size()));
}

std::string DistinctCount::ToBytes() const {
  internal::SketchWriter writer(kKind, kVersion);
  writer.U8(static_cast<std::uint8_t>(precision_));
  writer.U8(exact() ? 1 : 0);
  writer.U64(missing_);
  if (exact()) {
    writer.U32(static_cast<std::uint32_t>(hashes_.size()));
    for (const std::uint64_t hash : hashes_) writer.U64(hash);
  } else {
    for (const std::uint8_t rank : registers_) writer.U8(rank);
  }
  return std::move(writer).Seal();
}

Result<DistinctCount> DistinctCount::FromBytes(std::string_view bytes) {
  internal::SketchReader reader("distinct count", bytes, kKind, kVersion, kMostBytes);
  const unsigned precision = reader.U8();
  reader.Require(precision >= kLeastPrecision && precision <= kMostPrecision,
                 "the precision is not 7 to 18");
  const std::uint8_t exact = reader.U8();
  reader.Require(exact <= 1, "the form is not known");
  if (!reader.ok()) return reader.Finish().error();
  DistinctCount count(precision);
  count.missing_ = reader.U64();
  reader.Require(count.missing_ <= kMostMissing, "more than 2^62 values");
  if (exact == 1) {
    count.hashes_.resize(reader.Entries("hashes", count.MostExact(), 8));
    for (std::uint64_t& hash : count.hashes_) hash = reader.U64();
    reader.Require(std::adjacent_find(count.hashes_.begin(), count.hashes_.end(),
                                      std::greater_equal<>()) == count.hashes_.end(),
                   "the hashes do not rise");
  } else {
    count.registers_.resize(std::size_t{1} << precision);
    std::size_t raised = 0;
    for (std::uint8_t& rank : count.registers_) {
      rank = reader.U8();
      raised += rank > 0;
      reader.Require(rank <= 64 - precision + 1, "a register is above its range");
    }
    reader.Require(raised > 0, "no register is raised");
  }
  if (const auto good = reader.Finish(); !good) return good.error();
  return count;
}

}  // namespace tidewheel::stats
