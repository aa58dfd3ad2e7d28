#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace tidewheel::net {

/// How other threads reach one that waits for files by epoll. Outlives that thread in whoever still
/// has something to say; what comes then is dropped.
///
/// A turn of the thread: `PrepareToSleep` says whether it may wait, `Awake` follows the wait,
/// `Quiet` where event() was readable, then `Take`. It is woken by the first letter alone, and only
/// where it waits.
template <typename Letter>
class Mailbox {
 public:
  Mailbox() : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~Mailbox() {
    if (event_ >= 0) ::close(event_);
  }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// Thread-safe. On the mailbox's own thread the letter lies in local().
  void Put(Letter letter) {
    if (here_ == this) {
      local_.push_back(std::move(letter));
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return;
      letters_.push_back(std::move(letter));
      some_.store(true);
    }
    if (asleep_.exchange(false)) Wake();
  }
  /// Thread-safe.
  void Wake() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t wrote = ::write(event_, &one, sizeof one);
  }

  // The rest is for the mailbox's own thread.

  /// Makes the calling thread its own.
  void MoveHere() { here_ = this; }
  /// False: there are letters already; else Put wakes from now on.
  bool PrepareToSleep() {
    asleep_.store(true);
    // Whoever put something before this sees nobody asleep; so look once more.
    if (!some_.load()) return true;
    asleep_.store(false);
    return false;
  }
  void Awake() { asleep_.store(false, std::memory_order_relaxed); }
  /// Empties the event that wakes.
  void Quiet() const {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t read = ::read(event_, &count, sizeof count);
  }
  /// Swaps what lies there into `letters`, which must be empty.
  void Take(std::vector<Letter>* letters) {
    if (!some_.load()) return;
    const std::lock_guard lock(mutex_);
    letters->swap(letters_);
    some_.store(false);
  }
  std::vector<Letter>& local() { return local_; }
  /// Nothing is taken in any more.
  void Close() {
    std::vector<Letter> dropped;
    const std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(letters_);
  }
  int event() const { return event_; }

 private:
  inline static thread_local const Mailbox* here_ = nullptr;  // Of the thread that this is.

  const int event_;
  std::vector<Letter> local_;
  std::atomic<bool> asleep_{false};
  std::atomic<bool> some_{false};
  std::mutex mutex_;  // Guards letters_ and closed_.
  std::vector<Letter> letters_;
  bool closed_ = false;
};

}  // namespace tidewheel::net
