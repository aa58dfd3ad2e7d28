#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace tidewheel::labels::internal {

// Branch-free, so that the compiler can do several at once, and with the same bits at every width
// (the files that use them are compiled with -ffp-contract=off).

/// e^x for x <= 0, within 2 units in the last place and what x itself may be off by its last place
/// (a relative error of |x| / 2^53); 0 below -708 and for minus infinity. 2^f for f within -0.5 to
/// 0.5 is 1 + f q(f), where q interpolates (2^f - 1) / f in eleven Chebyshev nodes, to 1.3e-17.
inline double ExpNotAbove0(double x) {
  constexpr double kLowest = -708;
  constexpr double kRound = 0x1.8p52;  // Adding it rounds to whole numbers.
  constexpr double kLog2E = 0x1.71547652b82fep0;
  const double y = (x < kLowest ? kLowest : x) * kLog2E;
  const double shifted = y + kRound;
  const double f = y - (shifted - kRound);
  double q = 0x1.e9d3fe3952179p-32;
  q = q * f + 0x1.e6063f7217bc6p-28;
  q = q * f + 0x1.b524fae627834p-24;
  q = q * f + 0x1.62bfd47773353p-20;
  q = q * f + 0x1.ffcbfc670dcd4p-17;
  q = q * f + 0x1.430913096fd9fp-13;
  q = q * f + 0x1.5d87fe78a5276p-10;
  q = q * f + 0x1.3b2ab6fba1ddap-7;
  q = q * f + 0x1.c6b08d704a0c2p-5;
  q = q * f + 0x1.ebfbdff82c598p-3;
  q = q * f + 0x1.62e42fefa39efp-1;
  const auto power = std::bit_cast<double>((std::bit_cast<std::uint64_t>(shifted) + 1023) << 52);
  return x < kLowest ? 0 : (q * f + 1) * power;
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
