#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "tidewheel/base/clock.h"
#include "tidewheel/bus/broker.h"
#include "tidewheel/bus/consumer.h"
#include "tidewheel/bus/outbox_relay.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/monitoring/api/alert_rpcs.h"
#include "tidewheel/monitoring/domain/alert_keeper.h"
#include "tidewheel/monitoring/domain/comparison_desk.h"
#include "tidewheel/monitoring/domain/monitoring_store.h"
#include "tidewheel/monitoring/domain/observer.h"
#include "tidewheel/monitoring/notify/http_poster.h"
#include "tidewheel/monitoring/notify/notification_worker.h"
#include "tidewheel/monitoring/storage/alert_postgres_store.h"
#include "tidewheel/monitoring/storage/comparison_postgres_store.h"
#include "tidewheel/monitoring/stream/alert_fact_consumer.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::monitoring {

/// Everything of the service that judges and tells, put together: what App keeps beside windows.
class Alerting {
 public:
  struct Options {
    std::string alertmanager_url;           // Empty: none is told.
    std::chrono::milliseconds look{2'000};  // Between two looks for silence, and at the gauges.
    std::chrono::milliseconds retention{};  // Of findings that fired nothing.
  };

  Alerting(postgres::Pool& pool, MonitoringStore& windows, PolicySource& policies,
           const Clock& clock, metrics::Registry& metrics, const Options& options);

  /// Who is told of windows and outcomes.
  WindowListener& listener() { return keeper_; }
  AlertRpcs::Parts parts() { return {&store_, &keeper_, &comparisons_, &clock_}; }

  /// Starts its workers: the relay of events, the consumer of facts, notifications, the timer.
  void Start(bus::Broker& broker);

 private:
  void Look();
  /// What was expected of answers held against their outcomes, newest for each model.
  void ShowAudits();
  void Forget();

  postgres::Pool& pool_;
  MonitoringStore& windows_;
  PolicySource& policies_;
  const Clock& clock_;
  metrics::Registry& metrics_;
  const Options options_;
  PostgresAlertStore store_;
  PostgresComparisonStore comparison_store_{pool_};
  AlertKeeper keeper_;
  ComparisonDesk comparisons_;
  AlertFactConsumer facts_{keeper_, policies_};
  CurlPoster poster_;
  metrics::GaugeFamily& open_alerts_;
  metrics::GaugeFamily& damage_;
  metrics::GaugeFamily& comparison_predictions_;
  metrics::GaugeFamily& comparison_state_;
  metrics::GaugeFamily& comparison_accuracy_;
  metrics::GaugeFamily& audit_error_;
  metrics::GaugeFamily& audit_error_low_;
  metrics::GaugeFamily& audit_error_high_;
  metrics::GaugeFamily& audit_;
  std::unique_ptr<bus::OutboxRelay> relay_;
  std::unique_ptr<bus::Consumer> consumer_;
  std::unique_ptr<NotificationWorker> notifier_;
  Pause pause_;
  std::unique_ptr<Worker> worker_;  // Last: it uses the rest.
};

}  // namespace tidewheel::monitoring
