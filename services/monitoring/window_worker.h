#pragma once

#include <chrono>

#include "tidewheel/base/worker.h"
#include "tidewheel/monitoring/domain/window_pump.h"

namespace tidewheel::monitoring {

/// Two workers: one cuts windows, one tells of them, so that a long judgement delays no window.
class WindowWorker {
 public:
  /// Looks every `interval`, and soon after Wake().
  WindowWorker(WindowPump& pump, std::chrono::milliseconds interval);

  /// Something was stored. Thread-safe.
  void Wake() { stored_.Wake(); }

 private:
  void Cut(std::stop_token stop);
  void Tell(std::stop_token stop);

  WindowPump& pump_;
  const std::chrono::milliseconds interval_;
  Pause stored_;
  Pause rest_;  // Nobody wakes it.
  Pause cut_;
  Worker cutter_;  // Last: they use the rest.
  Worker teller_;
};

}  // namespace tidewheel::monitoring
