#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace tidewheel::labels::internal {

/// Calls `body(chunk, thread)` for every chunk of 0 .. chunks, on at most `threads` threads (one of
/// them the caller's) numbered from 0; ThreadsFor says how many it takes. Which thread gets which
/// chunk is chance, so what depends on order is kept by chunk.
inline std::size_t ThreadsFor(std::size_t chunks, std::uint32_t threads) {
  return std::max<std::size_t>(1, std::min<std::size_t>(threads, chunks));
}

template <typename Body>
void ForEachChunk(std::size_t chunks, std::uint32_t threads, const Body& body) {
  std::atomic<std::size_t> next = 0;
  const auto run = [&](std::size_t thread) {
    for (std::size_t chunk = next++; chunk < chunks; chunk = next++) body(chunk, thread);
  };
  std::vector<std::jthread> others;
  for (std::size_t thread = 1; thread < ThreadsFor(chunks, threads); ++thread) {
    others.emplace_back([&run, thread] { run(thread); });
  }
  run(0);
}

}  // namespace tidewheel::labels::internal
