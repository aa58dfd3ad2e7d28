#pragma once

#include <chrono>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/monitoring/domain/monitoring_store.h"

namespace tidewheel::monitoring {

/// A worker that shows the stored windows to Prometheus, and once an hour drops what is older than
/// the retention. It reads what is stored, so every copy of the service and every restart shows the
/// same. A slice is shown by its newest windows, under the label `slice`; all traffic has an empty
/// one.
class SummaryExporter {
 public:
  struct Options {
    std::chrono::milliseconds interval{2'000};
    std::chrono::milliseconds retention{std::chrono::hours(24 * 30)};
  };

  SummaryExporter(MonitoringStore& store, metrics::Registry& registry, const Clock& clock,
                  const Options& options);

 private:
  Result<void> Export();
  Result<void> ExportModel(const ModelSummary& summary);
  Result<void> ExportWindows(const ModelSummary& summary, const std::string& slice);
  Result<void> ExportTimes();
  void Forget();

  MonitoringStore& store_;
  const Clock& clock_;
  const Options options_;
  metrics::GaugeFamily& predictions_;
  metrics::GaugeFamily& outcomes_;
  metrics::GaugeFamily& accuracy_;
  metrics::GaugeFamily& accuracy_low_;
  metrics::GaugeFamily& accuracy_high_;
  metrics::GaugeFamily& window_accuracy_;
  metrics::GaugeFamily& window_accuracy_low_;
  metrics::GaugeFamily& window_accuracy_high_;
  metrics::GaugeFamily& window_estimate_;
  metrics::GaugeFamily& window_estimate_low_;
  metrics::GaugeFamily& window_estimate_high_;
  metrics::GaugeFamily& window_drift_;
  metrics::GaugeFamily& window_confidence_;
  metrics::GaugeFamily& window_class_share_;
  metrics::GaugeFamily& window_traffic_;
  metrics::GaugeFamily& label_delay_;
  metrics::GaugeFamily& newest_prediction_;
  Pause pause_;
  Worker worker_;  // Last: it uses the rest.
};

}  // namespace tidewheel::monitoring
