#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <iterator>
#include <mutex>
#include <stop_token>
#include <utility>
#include <vector>

namespace tidewheel {

/// A queue that refuses instead of growing. Thread-safe.
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  /// False when full or closed; `item` is then untouched.
  bool TryPush(T&& item) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_ || items_.size() >= capacity_) return false;
      items_.push_back(std::move(item));
    }
    changed_.notify_one();
    return true;
  }

  /// Waits for the first item, then takes up to `at_most` of what is there. Empty: stopped, or
  /// closed and drained.
  std::vector<T> PopSome(std::stop_token stop, std::size_t at_most) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, stop, [this] { return closed_ || !items_.empty(); });
    return Take(at_most);
  }

  /// The same, but gives up after `wait`: an empty answer then says nothing came.
  std::vector<T> PopSome(std::stop_token stop, std::size_t at_most,
                         std::chrono::milliseconds wait) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, wait, [this] { return closed_ || !items_.empty(); });
    return Take(at_most);
  }

  /// No more pushes; what is inside can still be taken.
  void Close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return items_.size();
  }
  std::size_t capacity() const { return capacity_; }

 private:
  std::vector<T> Take(std::size_t at_most) {
    const std::size_t count = items_.size() < at_most ? items_.size() : at_most;
    const auto end = items_.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<T> taken(std::make_move_iterator(items_.begin()), std::make_move_iterator(end));
    items_.erase(items_.begin(), end);
    return taken;
  }

  const std::size_t capacity_;
  mutable std::mutex mutex_;  // Guards items_ and closed_.
  std::condition_variable_any changed_;
  std::deque<T> items_;
  bool closed_ = false;
};

}  // namespace tidewheel
