#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/counters.h"
#include "tidewheel/base/error.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/bus/broker.h"

namespace tidewheel::bus {

struct RetentionOptions {
  std::vector<std::string> topics{};
  std::chrono::hours keep{24 * 7};
  bool also_unread = false;  // Else what a group has not read yet stays.
  std::chrono::milliseconds interval{600'000};
  Counter& removed = Counter::None();              // Messages.
  std::function<void(const Error&)> on_problem{};  // For the log. From its thread.
};

/// A worker that removes old messages where the driver does not do that by itself (PostgreSQL). One
/// of several copies of a service is enough, more do no harm. `broker` and `clock` must outlive it.
class Retention {
 public:
  Retention(Broker& broker, const Clock& clock, RetentionOptions options);

  void RequestStop() { worker_.RequestStop(); }

 private:
  void RemoveOld();

  Broker& broker_;
  const Clock& clock_;
  const RetentionOptions options_;
  Worker worker_;
};

}  // namespace tidewheel::bus
