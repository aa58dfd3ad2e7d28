#pragma once

#include <chrono>
#include <string>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/counters.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/monitoring/domain/alert_store.h"
#include "tidewheel/monitoring/domain/notification.h"
#include "tidewheel/monitoring/notify/http_poster.h"

namespace tidewheel::monitoring {

struct NotifyCounters {
  Counter& delivered = Counter::None();
  Counter& failed = Counter::None();     // Attempts; they are repeated.
  Counter& abandoned = Counter::None();  // Given up.
};

/// A worker that tells webhooks and Alertmanager what waits in the queue, at least once: header
/// `Idempotency-Key` is alert id and change, the same at each repeat. An attempt that may succeed
/// later is repeated after 1 s, 2 s, 4 s and so on, at most `longest_pause` apart; what is refused
/// for good, or has failed `most_attempts` times, is given up and counted. Open alerts that are not
/// muted are sent to Alertmanager again every `refresh`, as it forgets what it does not hear of.
class NotificationWorker {
 public:
  struct Options {
    std::string alertmanager_url;  // "http://127.0.0.1:9093"; empty: none.
    std::chrono::milliseconds look{1'000};
    std::chrono::milliseconds refresh{60'000};
    std::chrono::milliseconds first_pause{1'000};
    std::chrono::milliseconds longest_pause{300'000};
    std::uint32_t most_attempts = 40;
  };

  NotificationWorker(NotificationQueue& queue, AlertStore& alerts, HttpPoster& poster,
                     const Clock& clock, const Options& options, NotifyCounters counters = {});

  void Wake() { pause_.Wake(); }

 private:
  void Run(std::stop_token stop);
  Result<std::size_t> Deliver(std::stop_token stop);
  Result<void> Refresh();
  Result<void> Send(const Notification& notification);

  NotificationQueue& queue_;
  AlertStore& alerts_;
  HttpPoster& poster_;
  const Clock& clock_;
  const Options options_;
  const NotifyCounters counters_;
  Pause pause_;
  Worker worker_;  // Last: it uses the rest.
};

}  // namespace tidewheel::monitoring
