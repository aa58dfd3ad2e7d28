#pragma once

#include <atomic>
#include <cstddef>
#include <system_error>
#include <thread>
#include <vector>

namespace tidewheel::stats::internal {

constexpr unsigned kMostThreads = 64;

/// Calls `work(worker, unit)` once for each unit below `units`, on up to `workers` threads of which
/// the caller is number 0. Which worker gets which unit is left to chance: units must not depend on
/// one another.
template <typename Work>
void SideBySide(std::size_t units, std::size_t workers, Work work) {
  std::atomic<std::size_t> next{0};
  const auto run = [&](std::size_t worker) {
    for (std::size_t unit = next++; unit < units; unit = next++) work(worker, unit);
  };
  std::vector<std::jthread> others;
  for (std::size_t worker = 1; worker < workers && worker < units; ++worker) {
    try {
      others.emplace_back(run, worker);
    } catch (const std::system_error&) {
      break;  // No more threads to be had: those there are do all of it.
    }
  }
  run(0);
}

}  // namespace tidewheel::stats::internal
