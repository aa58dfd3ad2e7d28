#include "tidewheel/vision/difference_hash.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <vector>

namespace tidewheel::vision {
namespace {

constexpr int kColumns = 9;
constexpr int kRows = 16;
constexpr char kDigits[] = "0123456789abcdef";

// One axis of the triangle filter: for each output pixel the source pixels that count and their
// whole-numbered weights.
struct Tap {
  int first = 0;
  std::int64_t total = 0;
  std::vector<std::int64_t> weights;

  std::uint8_t Average(std::int64_t sum) const {
    return static_cast<std::uint8_t>((2 * sum + total) / (2 * total));
  }
};

std::vector<Tap> Triangle(int source_size, int size) {
  const std::int64_t n = source_size;
  const std::int64_t m = size;
  const std::int64_t reach = 2 * std::max(n, m);
  std::vector<Tap> taps(static_cast<std::size_t>(size));
  for (std::int64_t x = 0; x < m; ++x) {
    Tap& tap = taps[static_cast<std::size_t>(x)];
    // Only sources with |(2i + 1) m - (2x + 1) n| < reach weigh anything.
    const std::int64_t begin = std::max<std::int64_t>(0, ((2 * x + 1) * n - reach) / (2 * m) - 1);
    tap.first = static_cast<int>(begin);
    for (std::int64_t i = begin; i < n; ++i) {
      const std::int64_t weight = reach - std::abs((2 * i + 1) * m - (2 * x + 1) * n);
      if (weight > 0) {
        tap.weights.push_back(weight);
        tap.total += weight;
      } else if (tap.weights.empty()) {
        tap.first = static_cast<int>(i) + 1;
      } else {
        break;
      }
    }
  }
  return taps;
}

}  // namespace

Hash128 DifferenceHash(const Image& image) {
  Hash128 hash;
  if (!IsWellFormed(image)) return hash;
  Image own;
  if (image.channels == 3) own = ToGrey(image);
  const Image& grey = image.channels == 3 ? own : image;

  const std::vector<Tap> across = Triangle(grey.width, kColumns);
  Image narrow = Image::Filled(kColumns, grey.height, 1, 0);
  std::uint8_t* out = narrow.pixels.data();
  for (int y = 0; y < grey.height; ++y) {
    const std::uint8_t* row = grey.pixels.data() + grey.Offset(0, y);
    for (const Tap& tap : across) {
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < tap.weights.size(); ++i)
        sum += tap.weights[i] * row[static_cast<std::size_t>(tap.first) + i];
      *out++ = tap.Average(sum);
    }
  }
  const std::vector<Tap> down = Triangle(grey.height, kRows);
  for (std::size_t y = 0; y < kRows; ++y) {
    const Tap& tap = down[y];
    std::array<std::int64_t, kColumns> sums{};
    const std::uint8_t* row = narrow.pixels.data() + narrow.Offset(0, tap.first);
    for (const std::int64_t weight : tap.weights) {
      for (std::size_t x = 0; x < kColumns; ++x) sums[x] += weight * *row++;
    }
    std::uint64_t& word = y < kRows / 2 ? hash.high : hash.low;
    for (std::size_t x = 0; x + 1 < kColumns; ++x) {
      word = word << 1 | (tap.Average(sums[x + 1]) > tap.Average(sums[x]) ? 1U : 0U);
    }
  }
  return hash;
}

int HammingDistance(const Hash128& a, const Hash128& b) {
  return std::popcount(a.high ^ b.high) + std::popcount(a.low ^ b.low);
}

std::string Hash128::Hex() const {
  std::string hex;
  hex.reserve(32);
  for (const std::uint64_t word : {high, low}) {
    for (int shift = 60; shift >= 0; shift -= 4) hex += kDigits[(word >> shift) & 15];
  }
  return hex;
}

Result<Hash128> Hash128::FromHex(std::string_view hex) {
  const Error error{ErrorCode::kInvalidArgument,
                    "'" + std::string(hex.substr(0, 40)) + "' is not 32 hexadecimal digits"};
  if (hex.size() != 32) return error;
  Hash128 hash;
  for (std::size_t i = 0; i < hex.size(); ++i) {
    std::uint64_t digit = 0;
    if (hex[i] >= '0' && hex[i] <= '9') {
      digit = static_cast<std::uint64_t>(hex[i] - '0');
    } else if (hex[i] >= 'a' && hex[i] <= 'f') {
      digit = static_cast<std::uint64_t>(hex[i] - 'a') + 10;
    } else {
      return error;
    }
    std::uint64_t& word = i < 16 ? hash.high : hash.low;
    word = word << 4 | digit;
  }
  return hash;
}

}  // namespace tidewheel::vision
