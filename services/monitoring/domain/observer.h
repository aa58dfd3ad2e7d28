#pragma once

#include <map>
#include <span>
#include <string>

#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/monitoring_store.h"

namespace tidewheel::monitoring {

/// Where a task's monitoring policy is declared. Thread-safe.
class PolicySource {
 public:
  virtual ~PolicySource() = default;
  /// Predictions a window closes at. kNotFound: no such task.
  virtual Result<std::uint32_t> WindowSize(const std::string& task) = 0;
};

struct ObserverCounters {
  Counter& predictions = Counter::None();
  Counter& outcomes = Counter::None();
};

/// Takes predictions and outcomes as they come. Thread-safe.
class Observer {
 public:
  /// For tasks the registry does not know any more.
  static constexpr std::uint32_t kDefaultWindowSize = 200;

  Observer(MonitoringStore& store, PolicySource& policies, ObserverCounters counters)
      : store_(store), policies_(policies), counters_(counters) {}

  /// kUnavailable: nobody knows the task's policy now; nothing was stored.
  Result<void> Observe(std::span<const Prediction> predictions);
  Result<void> Observe(std::span<const Outcome> outcomes);

 private:
  MonitoringStore& store_;
  PolicySource& policies_;
  const ObserverCounters counters_;
};

}  // namespace tidewheel::monitoring
