#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "tidewheel/cli/demo/account.h"

namespace tidewheel::cli::drill {

/// What happens now, for people: one line each with the seconds since the start. Thread-safe.
class Progress {
 public:
  explicit Progress(demo::Account& account)
      : account_(account), started_(std::chrono::steady_clock::now()) {}

  void Title(const std::string& text);
  void Say(const std::string& text);
  void Show(const Table& table);
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  }

 private:
  demo::Account& account_;
  const std::chrono::steady_clock::time_point started_;
  std::mutex mutex_;  // Guards account_.
};

}  // namespace tidewheel::cli::drill
