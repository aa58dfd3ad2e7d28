#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string>

namespace tidewheel::cli {

/// One line on standard error that shows how far something is. Draws nothing unless standard error
/// is a terminal. Thread-safe.
class ProgressBar {
 public:
  explicit ProgressBar(std::string title);
  /// Takes the line away.
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// `total` none: only the count is shown. Redraws at most ten times a second.
  void Show(std::uint64_t done, std::optional<std::uint64_t> total, const std::string& note = {});

 private:
  const std::string title_;
  const bool draws_;
  std::mutex mutex_;  // Guards last_.
  std::chrono::steady_clock::time_point last_{};
};

/// The line without its colours and returns: `push [=====>    ] 1 200/5 000 note`.
std::string ProgressLine(const std::string& title, std::uint64_t done,
                         std::optional<std::uint64_t> total, const std::string& note, int width);

}  // namespace tidewheel::cli
