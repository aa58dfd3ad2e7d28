#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "tidewheel/cli/drill/progress.h"

namespace tidewheel::cli::drill {

/// Ends a process of the platform with SIGKILL every few seconds; the launcher starts it again. Who
/// it is depends on the seed alone. Knows the processes by the platform's file, and kills none that
/// does not run one of the platform's programs.
class Killer {
 public:
  Killer(std::filesystem::path platform_file, std::uint64_t seed, std::chrono::milliseconds every,
         Progress& progress);
  ~Killer();

  /// By name.
  std::map<std::string, std::uint64_t> kills() const;
  void Stop();

 private:
  void Work(std::stop_token stop);

  const std::filesystem::path platform_file_;
  const std::uint64_t seed_;
  const std::chrono::milliseconds every_;
  Progress& progress_;
  mutable std::mutex mutex_;  // Guards kills_.
  std::map<std::string, std::uint64_t> kills_;
  std::jthread worker_;  // Last: it uses the rest.
};

}  // namespace tidewheel::cli::drill
