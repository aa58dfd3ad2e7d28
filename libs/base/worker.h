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

}  // namespace tidewheel
