#pragma once

#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/monitoring_store.h"

namespace tidewheel::monitoring {

/// Where a task's monitoring policy is declared. Thread-safe.
class PolicySource {
 public:
  virtual ~PolicySource() = default;
  /// kNotFound: no such task.
  virtual Result<MonitoringPolicy> Policy(const std::string& task) = 0;
};

/// The policy of a task; of one that the registry does not know any more the defaults.
Result<MonitoringPolicy> PolicyOrDefault(PolicySource& policies, const std::string& task);

/// "key=value" of each key that the metadata has, in the order of the keys.
std::vector<std::string> SlicesOf(const std::map<std::string, std::string>& metadata,
                                  const std::vector<std::string>& keys);

struct ObserverCounters {
  Counter& predictions = Counter::None();
  Counter& failures = Counter::None();
  Counter& outcomes = Counter::None();
};

/// Takes predictions and outcomes as they come. Thread-safe.
class Observer {
 public:
  Observer(MonitoringStore& store, PolicySource& policies, ObserverCounters counters)
      : store_(store), policies_(policies), counters_(counters) {}

  /// kUnavailable: nobody knows the task's policy now; nothing was stored.
  Result<void> Observe(std::vector<Prediction> predictions);
  Result<void> Observe(std::span<const Failure> failures);
  Result<void> Observe(std::span<const Outcome> outcomes);

 private:
  MonitoringStore& store_;
  PolicySource& policies_;
  const ObserverCounters counters_;
};

}  // namespace tidewheel::monitoring
