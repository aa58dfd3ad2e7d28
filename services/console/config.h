#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "tidewheel/config/reader.h"
#include "tidewheel/rpc/server.h"

namespace tidewheel::console {

/// All settings; the environment's prefix is TIDEWHEEL_CONSOLE.
struct Config {
  Config();

  rpc::ServerOptions server;
  std::string metrics_listen = "127.0.0.1:0";

  std::string http_listen = "127.0.0.1:0";
  int http_threads = 16;
  std::size_t http_max_body = std::size_t{8} << 20;
  std::chrono::milliseconds http_read_timeout{10'000};
  /// Hosts that requests may be addressed to, without ports; "*": any. Needed as soon as
  /// `http.listen` is not loopback.
  std::vector<std::string> http_hosts = {"localhost", "127.0.0.1", "[::1]"};

  std::chrono::milliseconds call_deadline{30'000};
  std::chrono::milliseconds health_deadline{2'000};

  /// "ingestion" -> its address; empty: not part of this platform.
  std::map<std::string, std::string> backends;

  void Read(config::Reader& reader);
};

}  // namespace tidewheel::console
