#pragma once

#include <cstdint>
#include <string_view>

namespace tidewheel {

/// xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64: the same numbers on every machine,
/// unlike the standard library's distributions. Not for secrets. Not thread-safe: one per thread.
class Random {
 public:
  using result_type = std::uint64_t;
  explicit Random(std::uint64_t seed);

  std::uint64_t Next();
  /// In [0, 1), 53 bits.
  double Uniform();
  /// In [0, bound), without bias (Lemire 2019); bound > 0.
  std::uint64_t Below(std::uint64_t bound);
  /// Normal with mean 0 and variance 1 (Box-Muller, one of the two values).
  double Normal();

  static constexpr std::uint64_t min() { return 0; }
  static constexpr std::uint64_t max() { return ~std::uint64_t{0}; }
  std::uint64_t operator()() { return Next(); }

 private:
  std::uint64_t state_[4];
};

/// A 64-bit hash of bytes that never changes between releases (FNV-1a, finished by splitmix64's
/// mixer).
std::uint64_t StableHash(std::string_view bytes, std::uint64_t seed = 0);

}  // namespace tidewheel
