#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/bus/broker.h"

namespace tidewheel::postgres {
class Pool;
}

namespace tidewheel::bus {

struct OutboxRelayOptions {
  std::string schema{};                          // Whose `outbox` table: "ingestion".
  std::size_t batch = 500;                       // Rows for one Publish.
  std::chrono::milliseconds poll_interval{500};  // Looks this often even when no notification came.
  std::chrono::milliseconds first_backoff{50};
  std::chrono::milliseconds last_backoff{5'000};
  Counter& relayed = Counter::None();  // Messages moved to the bus.
  Counter& refused =
      Counter::None();             // Rows the bus refuses for good; kept in the table and reported.
  Gauge& waiting = Gauge::None();  // Rows in the table, counted once a `count_interval`.
  std::chrono::milliseconds count_interval{2'000};
  std::function<void(const Error&)> on_problem{};  // For the log. From its thread.
};

/// A worker that moves one schema's outbox to the bus: at least once, in order per key, woken by
/// NOTIFY. Several copies of a service may each run one: an advisory lock lets one work at a time,
/// and the next takes over when it goes. Outlives the loss of either side.
class OutboxRelay {
 public:
  /// Starts at once. `pool` and `broker` must outlive it.
  OutboxRelay(postgres::Pool& pool, Broker& broker, OutboxRelayOptions options);
  ~OutboxRelay();

  void RequestStop();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace tidewheel::bus
