#include "tidewheel/base/worker.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

namespace tidewheel {
namespace {

constexpr std::uint64_t kShortTurn = 100'000;  // Nanoseconds; the kernel's least.

/// sched_setattr(2); glibc 2.36 has neither it nor its call.
struct SchedulingAttributes {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime;
  std::uint64_t deadline;
  std::uint64_t period;
};

bool AskForShortTurns() {
  SchedulingAttributes attributes{};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return false;
  if (attributes.policy != SCHED_OTHER) return false;  // Somebody has decided otherwise.
  attributes.size = sizeof attributes;
  attributes.runtime = kShortTurn;
  return syscall(SYS_sched_setattr, 0, &attributes, 0) == 0;
}

}  // namespace

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

void TakeShortTurns() { [[maybe_unused]] thread_local const bool asked = AskForShortTurns(); }

}  // namespace tidewheel
