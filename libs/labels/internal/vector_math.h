#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace tidewheel::labels::internal {

// Branch-free, so that the compiler can do several at once, and with the same bits at every width
// (the files that use them are compiled with -ffp-contract=off).

/// e^x for x <= 0, within 2 units in the last place; 0 below -708 and for minus infinity.
inline double ExpNotAbove0(double x) {
  constexpr double kLowest = -708;
  constexpr double kRound = 0x1.8p52;  // Adding it rounds to whole numbers.
  constexpr double kLog2E = 0x1.71547652b82fep0;
  constexpr double kLn2High = 0x1.62e42fefa38p-1;  // Its products with whole numbers are exact.
  constexpr double kLn2Low = 0x1.ef35793c7673p-45;
  const double y = x < kLowest ? kLowest : x;
  const double shifted = y * kLog2E + kRound;
  const double n = shifted - kRound;
  const double r = (y - n * kLn2High) - n * kLn2Low;
  double p = 1.0 / 6227020800;
  p = p * r + 1.0 / 479001600;
  p = p * r + 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * (r * r) + r;
  p = p + 1;
  const auto power = std::bit_cast<double>((std::bit_cast<std::uint64_t>(shifted) + 1023) << 52);
  return x < kLowest ? 0 : p * power;
}

/// The natural logarithm of a normal x > 0, within 2 units in the last place away from 1, and to
/// 1e-16 near it.
inline double LogOfPositive(double x) {
  constexpr std::uint64_t kRootHalf =
      0x3FE6A09E667F3BCDULL;  // Mantissas run from here to twice it.
  constexpr std::uint64_t kOne = 0x3FF0000000000000ULL;
  constexpr double kLn2High = 0x1.62e42fefa38p-1;
  constexpr double kLn2Low = 0x1.ef35793c7673p-45;
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const std::uint64_t biased = (bits - kRootHalf + kOne) >> 52;  // The exponent plus 1023.
  const double exponent = (std::bit_cast<double>(biased | 0x4330000000000000ULL) - 0x1p52) - 1023;
  const double f = std::bit_cast<double>(bits - (biased << 52) + kOne) - 1;
  // log(1 + f) = 2 artanh(s), kept as f - s (f - ...) so that the leading term is exact.
  const double s = f / (2 + f);
  const double z = s * s;
  double p = 2.0 / 21;
  p = p * z + 2.0 / 19;
  p = p * z + 2.0 / 17;
  p = p * z + 2.0 / 15;
  p = p * z + 2.0 / 13;
  p = p * z + 2.0 / 11;
  p = p * z + 2.0 / 9;
  p = p * z + 2.0 / 7;
  p = p * z + 2.0 / 5;
  p = p * z + 2.0 / 3;
  p = p * z;
  return exponent * kLn2High + (f - (s * (f - p) - exponent * kLn2Low));
}

/// The same of any share: minus infinity for 0 and for what is too small to be a normal number.
inline double LogOfShare(double share) {
  return share >= std::numeric_limits<double>::min() ? LogOfPositive(share)
                                                     : -std::numeric_limits<double>::infinity();
}

}  // namespace tidewheel::labels::internal
