#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

namespace tidewheel {

/// One background thread with an owner: asked to stop and joined when it goes.
class Worker {
 public:
  /// Starts at once. `body` returns when its token says so.
  Worker(std::string name, std::function<void(std::stop_token)> body);
  ~Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void RequestStop() { thread_.request_stop(); }

 private:
  std::jthread thread_;
};

/// A pause that ends early when the token is stopped or somebody calls Wake(). Thread-safe.
class Pause {
 public:
  /// Returns false when stopped. A Wake() that came before the call ends it at once.
  bool Wait(std::stop_token stop, std::chrono::milliseconds at_most);
  void Wake();

 private:
  std::mutex mutex_;  // Guards woken_.
  std::condition_variable_any changed_;
  bool woken_ = false;
};

/// Asks for turns of 100 us on the processor for the calling thread, instead of milliseconds: one
/// that wakes, passes something on and sleeps again then goes before those that compute. Its share
/// stays what it is. Linux 6.12 and later (EEVDF: Stoica and Abdel-Wahab, 1995); elsewhere, and
/// where that is forbidden, nothing happens. Once a thread; further calls cost next to nothing.
void TakeShortTurns();

}  // namespace tidewheel
