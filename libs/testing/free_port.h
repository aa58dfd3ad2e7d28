#pragma once

#include <cstdint>

namespace tidewheel::testing {

/// A TCP port of 127.0.0.1 that nobody listens on now. Only for servers that cannot choose one
/// themselves (port 0); another process may take it first, so start again with another when that
/// happens.
std::uint16_t FreePort();

}  // namespace tidewheel::testing
