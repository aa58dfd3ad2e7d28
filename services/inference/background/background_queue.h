#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/base/bounded_queue.h"
#include "tidewheel/base/worker.h"

namespace tidewheel::inference {

/// How much may wait behind the answers.
struct BackgroundLimits {
  std::size_t items = 256;
  std::size_t bytes = 64u << 20;
};

/// Gives way to every other thread that wants the processor, as far as the system lets it.
void LowerPriority();

/// Work that follows answers: one thread of low priority behind a queue that is bounded in items
/// and bytes, and that never makes anybody wait. Thread-safe.
template <typename T>
class BackgroundQueue {
 public:
  using Work = std::function<void(std::vector<T>)>;
  enum class AtShutdown { kDrop, kFinish };

  /// `work` gets up to `batch` items at a time.
  BackgroundQueue(std::string name, const BackgroundLimits& limits, std::size_t batch,
                  AtShutdown at_shutdown, Work work)
      : limits_(limits),
        queue_(limits.items),
        worker_(std::move(name),
                [this, batch, at_shutdown, work = std::move(work)](std::stop_token stop) {
                  LowerPriority();
                  while (at_shutdown == AtShutdown::kFinish || !stop.stop_requested()) {
                    auto taken = queue_.PopSome(stop, batch);
                    if (taken.empty()) return;
                    std::size_t bytes = 0;
                    std::vector<T> items;
                    for (auto& [item, size] : taken) {
                      items.push_back(std::move(item));
                      bytes += size;
                    }
                    work(std::move(items));
                    bytes_.fetch_sub(bytes, std::memory_order_relaxed);
                  }
                }) {}
  ~BackgroundQueue() { queue_.Close(); }

  /// Whether one more of this size would be taken now.
  bool HasRoom(std::size_t bytes) const {
    return queue_.size() < limits_.items &&
           bytes_.load(std::memory_order_relaxed) + bytes <= limits_.bytes;
  }

  /// False: full, in items or in bytes.
  bool TryPush(T item, std::size_t bytes) {
    if (bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes > limits_.bytes ||
        !queue_.TryPush({std::move(item), bytes})) {
      bytes_.fetch_sub(bytes, std::memory_order_relaxed);
      return false;
    }
    return true;
  }

 private:
  const BackgroundLimits limits_;
  std::atomic<std::size_t> bytes_ = 0;  // Waiting or in work.
  BoundedQueue<std::pair<T, std::size_t>> queue_;
  Worker worker_;  // Last: it uses the rest.
};

}  // namespace tidewheel::inference
