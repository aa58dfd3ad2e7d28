#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tidewheel/base/result.h"

namespace tidewheel::inference::torch_runner {

/// One lane's two counters, each the word of a futex and on a cache line of its own: who asks
/// raises `asked` when a request is written, who answers sets `answered` to it when the answer is.
struct LaneWords {
  alignas(64) std::atomic<std::uint32_t> asked;
  alignas(64) std::atomic<std::uint32_t> answered;
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

/// Memory that two processes share: lanes, each a ring of one request one way and one answer the
/// other. It has no name, only a descriptor, and its size is sealed. Pages that were never written
/// cost nothing.
class SharedLanes {
 public:
  static constexpr std::size_t kMostLanes = 64;

  /// kResourceExhausted: no memory or no descriptor.
  static Result<SharedLanes> Create(std::size_t lanes, std::size_t lane_bytes);
  /// Takes the descriptor in any case. kInvalidArgument: its size is another, or not sealed.
  static Result<SharedLanes> Map(int descriptor, std::size_t lanes, std::size_t lane_bytes);

  SharedLanes(SharedLanes&& other) noexcept;
  SharedLanes& operator=(SharedLanes&&) = delete;
  ~SharedLanes();

  std::size_t lanes() const { return lanes_; }
  int descriptor() const { return descriptor_; }
  LaneWords& words(std::size_t lane) const;
  /// lane_bytes each, aligned to a page.
  std::span<char> request(std::size_t lane) const;
  std::span<char> answer(std::size_t lane) const;
  /// Gives the pages of a lane back to the machine; its next request gets new ones.
  void Release(std::size_t lane) const;
  /// The mapping stays, and the other process has its own.
  void CloseDescriptor();

 private:
  SharedLanes(int descriptor, char* memory, std::size_t lanes, std::size_t lane_bytes)
      : descriptor_(descriptor), memory_(memory), lanes_(lanes), lane_bytes_(lane_bytes) {}
  static Result<SharedLanes> MapAll(int descriptor, std::size_t lanes, std::size_t lane_bytes);

  int descriptor_ = -1;
  char* memory_ = nullptr;
  std::size_t lanes_ = 0;
  std::size_t lane_bytes_ = 0;
};

/// Looks for `spin`, then sleeps until the word is no longer `value`, somebody wakes it for
/// nothing, or `at_most` has passed.
void WaitWhile(std::atomic<std::uint32_t>& word, std::uint32_t value,
               std::chrono::nanoseconds at_most, std::chrono::nanoseconds spin);
/// Wakes all who wait for it, in every process.
void WakeAll(std::atomic<std::uint32_t>& word);

}  // namespace tidewheel::inference::torch_runner
