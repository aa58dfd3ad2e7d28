#pragma once

#include <chrono>
#include <functional>
#include <span>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/bus/message.h"
#include "tidewheel/labeling/domain/queue_store.h"
#include "tidewheel/labeling/domain/task_catalogue.h"

namespace tidewheel::labeling {

struct FactCounters {
  Counter& votes = Counter::None();    // New votes that outcomes made.
  Counter& pending = Counter::None();  // Outcomes that came before their sample, if one comes.
};

/// Makes votes of what turned out to be true: events of tidewheel.outcomes meet those of
/// tidewheel.samples, whichever comes first, and however often. For one thread.
class FactConsumer {
 public:
  struct Options {
    /// Labels are computed this long after the first new vote, so that many make one computation.
    std::chrono::milliseconds compute_after{30'000};
  };

  FactConsumer(QueueStore& store, TaskCatalogue& tasks, const Clock& clock, Options options,
               FactCounters counters = {})
      : store_(store), tasks_(tasks), clock_(clock), options_(options), counters_(counters) {}

  /// kInvalidArgument: a payload that is no such event, or a class that the task does not have.
  /// kNotFound: the task. Those go to the dead letters.
  Result<void> Handle(std::span<const bus::Delivery> deliveries);

 private:
  QueueStore& store_;
  TaskCatalogue& tasks_;
  const Clock& clock_;
  const Options options_;
  const FactCounters counters_;
};

}  // namespace tidewheel::labeling
