#pragma once

// Inside of this library: sockets that listen.

#include <string>
#include <utility>

#include "tidewheel/base/result.h"

namespace tidewheel::rpc {

/// Listens on "HOST:PORT", "[HOST]:PORT" or "unix:PATH", without blocking. The file and the address
/// with its port filled in. kUnavailable names an address that cannot be bound.
Result<std::pair<int, std::string>> Listen(const std::string& address);

}  // namespace tidewheel::rpc
