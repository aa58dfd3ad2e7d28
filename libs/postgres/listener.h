#pragma once

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::postgres {

struct Notification {
  std::string channel;
  std::string payload;
};

/// A connection of its own that waits for NOTIFY. Connects at the first Wait and again whenever it
/// was lost. One thread.
class Listener {
 public:
  Listener(std::string dsn, std::vector<std::string> channels,
           std::string application_name = "tidewheel-listener");
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// What arrived since the last call, or the first that arrives within `at_most`; empty after that
  /// or when stopped. After a (re)connection one empty notification per channel comes at once,
  /// because something may have been missed. kUnavailable: the server is away; up to a second has
  /// passed, so a caller may just ask again.
  Result<std::vector<Notification>> Wait(std::stop_token stop, std::chrono::milliseconds at_most);

 private:
  struct Connection;

  const std::string dsn_;
  const std::vector<std::string> channels_;
  const std::string application_name_;
  const int wake_fd_;  // An eventfd that a stop request makes readable.
  std::unique_ptr<Connection> connection_;
};

}  // namespace tidewheel::postgres
