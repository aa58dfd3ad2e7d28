#include "tidewheel/base/worker.h"

#include <pthread.h>

#include <utility>

namespace tidewheel {

Worker::Worker(std::string name, std::function<void(std::stop_token)> body)
    : thread_([name = std::move(name), body = std::move(body)](std::stop_token stop) {
        // The kernel keeps fifteen characters.
        pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
        body(std::move(stop));
      }) {}

bool Pause::Wait(std::stop_token stop, std::chrono::milliseconds at_most) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, stop, at_most, [this] { return woken_; });
  woken_ = false;
  return !stop.stop_requested();
}

void Pause::Wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
}

}  // namespace tidewheel
