#pragma once

#include <cstdint>
#include <string_view>

#include "tidewheel/base/random.h"

namespace tidewheel::inference {

/// A place in [0, 1) that only the bytes and the seed decide: uniform over many keys, the same
/// on every machine and in every release.
inline double UnitHash(std::string_view bytes, std::uint64_t seed) {
  return static_cast<double>(StableHash(bytes, seed) >> 11) * 0x1.0p-53;
}

}  // namespace tidewheel::inference
