#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace tidewheel::inference {

/// Counts what has begun and not ended, so that who owns it can bound it and wait for the end.
/// Thread-safe.
class UnderWay {
 public:
  /// False, and nothing begins: `most` are under way.
  bool TryBegin(std::size_t most) {
    const std::lock_guard lock(mutex_);
    if (count_ >= most) return false;
    ++count_;
    return true;
  }
  void Begin() {
    const std::lock_guard lock(mutex_);
    ++count_;
  }
  /// Touches this for the last time before Wait may return.
  void End() {
    const std::lock_guard lock(mutex_);
    if (--count_ == 0) none_.notify_all();
  }
  /// Until nothing is under way.
  void Wait() {
    std::unique_lock lock(mutex_);
    none_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;  // Guards count_.
  std::condition_variable none_;
  std::size_t count_ = 0;
};

}  // namespace tidewheel::inference
