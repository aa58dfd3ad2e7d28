#pragma once

#include <cstdlib>

namespace tidewheel::fuzz {

/// What holds for any input; a fuzzer keeps the input for which it does not.
inline void Must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace tidewheel::fuzz
