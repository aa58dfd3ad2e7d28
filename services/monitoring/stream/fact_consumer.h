#pragma once

#include <span>

#include "tidewheel/base/result.h"
#include "tidewheel/bus/message.h"
#include "tidewheel/monitoring/domain/observer.h"

namespace tidewheel::monitoring {

/// Hands events of tidewheel.predictions and tidewheel.outcomes to the observer. kInvalidArgument:
/// a payload that is no such event, which then goes to the dead letters. Thread-safe.
class FactConsumer {
 public:
  explicit FactConsumer(Observer& observer) : observer_(observer) {}

  Result<void> Handle(std::span<const bus::Delivery> deliveries);

 private:
  Observer& observer_;
};

}  // namespace tidewheel::monitoring
