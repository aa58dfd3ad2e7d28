#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/bus/broker.h"

namespace tidewheel::bus {

/// What a consumer counts. References must outlive it.
struct ConsumerCounters {
  Counter& handled = Counter::None();        // Deliveries whose handler returned OK.
  Counter& dead_lettered = Counter::None();  // Deliveries moved to the dead-letter topic.
  Counter& retried = Counter::None();  // Calls of the handler that ended in a transient error.
  Counter& lost = Counter::None();     // Commits refused because another member has the partition.
  Gauge& lag = Gauge::None();          // Messages the group is behind, about every ten seconds.
};

struct ConsumerOptions {
  std::string group{};  // "monitoring.predictions".
  std::vector<std::string> topics{};
  std::size_t at_most = 100;  // Deliveries for one call of the handler.
  std::chrono::milliseconds wait{1'000};
  std::chrono::milliseconds first_backoff{50};  // Doubles after each failure in a row.
  std::chrono::milliseconds last_backoff{5'000};
  ConsumerCounters counters{};
  /// Told of what the consumer heals by itself (bus away, a retry, a dead letter), for the log.
  /// From its thread.
  std::function<void(const Error&)> on_problem{};
};

/// A worker that subscribes, hands deliveries to a handler and commits after it. At least once: a
/// handler recognises repeats by event id (postgres::Inbox in the transaction of its writes).
///
/// A transient error (UNAVAILABLE, RESOURCE_EXHAUSTED, ABORTED; also DEADLINE_EXCEEDED and
/// CANCELLED, which say nothing about the message) is tried again, in order, until it passes. Any
/// other is for good: a batch is then handled again one by one, and the delivery that fails alone
/// goes to `<topic>.dlq` with headers `dlq_reason`, `dlq_topic`, `dlq_partition`, `dlq_offset`,
/// `dlq_group`, `dlq_time`; the position moves on once that is durable.
class Consumer {
 public:
  using Handler = std::function<Result<void>(std::span<const Delivery>)>;
  using OneByOne = std::function<Result<void>(const Delivery&)>;

  /// Starts at once; the bus may come later. `broker` must outlive it. The handler runs on the
  /// consumer's one thread.
  Consumer(Broker& broker, ConsumerOptions options, Handler handler);
  Consumer(Broker& broker, ConsumerOptions options, OneByOne handler);

  /// Asks it to stop; the destructor joins. A handler that runs is waited for.
  void RequestStop() { worker_.RequestStop(); }

  /// Whether it is subscribed and its last Poll was answered; for health.
  bool connected() const { return connected_; }

 private:
  void Run(std::stop_token stop);
  /// Until stopped, or until only a new subscription can help.
  Result<void> Serve(Subscription& subscription, Publisher& dead_letters, std::stop_token stop);
  Result<void> Handle(std::vector<Delivery> deliveries, Subscription& subscription,
                      Publisher& dead_letters, std::stop_token stop);
  Result<void> Bury(const Delivery& delivery, const Error& reason, Publisher& dead_letters) const;
  void Report(const Error& error) const;
  void MeasureLag();

  Broker& broker_;
  const ConsumerOptions options_;
  const Handler handler_;
  std::atomic<bool> connected_ = false;
  std::chrono::steady_clock::time_point lag_due_{};
  Worker worker_;  // Last: it uses all of the above.
};

/// Sends everything on `<topic>.dlq` back to `topic` with its old event ids, without the `dlq_*`
/// headers and with `dlq_replays` counted up. Each dead letter once, also when called again or
/// twice at a time. Returns how many.
Result<std::size_t> ReplayDeadLetters(Broker& broker, const std::string& topic,
                                      std::stop_token stop = {});

}  // namespace tidewheel::bus
