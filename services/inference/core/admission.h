#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/batch_queue.h"
#include "tidewheel/inference/core/cost_model.h"

namespace tidewheel::inference {

/// What is before a request that comes now.
struct Backlog {
  std::size_t rows = 0;                 // That go first.
  std::chrono::nanoseconds running{0};  // What is left of the calls under way, all together.
  std::size_t instances = 1;            // Calls at the same time.
  std::size_t most_rows = 1;            // Of a call.
  bool idle = false;                    // Nothing goes first and an instance is free.
};

/// When a request must have got its answer or its turn; max() and 0: it need not.
struct Urgency {
  std::size_t rows = 1;
  SteadyTime deadline = SteadyTime::max();  // Of the answer.
  SteadyTime timeout = SteadyTime::max();   // Of its turn.
  std::chrono::nanoseconds budget{0};       // How long requests may wait at all.
};

/// Whether a request can be in time, by what calls were measured to cost: those who cannot are told
/// at once, and those who are let in keep their latency. What has nothing before it is let in
/// always, and by the budget who is the next in turn: their runs are how a cost that was measured
/// wrong is found out. kResourceExhausted says how long the wait would be and what the limit is.
Result<void> CheckInTime(const std::string& model, const Backlog& backlog, const CostModel& cost,
                         const Urgency& urgency, SteadyTime now);

}  // namespace tidewheel::inference
