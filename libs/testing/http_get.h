#pragma once

#include <string>

namespace tidewheel::testing {

/// GETs `path` from "127.0.0.1:port" on a connection of its own: the whole answer, head and body,
/// as it came. Empty: nobody is there.
std::string HttpGet(const std::string& address, const std::string& path);

}  // namespace tidewheel::testing
