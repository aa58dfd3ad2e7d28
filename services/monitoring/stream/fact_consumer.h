#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/bus/message.h"
#include "tidewheel/monitoring/domain/observer.h"

namespace tidewheel::monitoring {

/// Hands events of tidewheel.predictions and tidewheel.outcomes to the observer. kInvalidArgument:
/// a payload that is no such event, which then goes to the dead letters. One thread.
class FactConsumer {
 public:
  explicit FactConsumer(Observer& observer) : observer_(observer) {}

  Result<void> Handle(std::span<const bus::Delivery> deliveries);

 private:
  struct Facts {
    std::vector<Prediction> predictions;
    std::vector<Failure> failures;
    std::vector<Outcome> outcomes;
  };
  using ClassNames = std::shared_ptr<const std::vector<std::string>>;

  Result<void> AppendPredictions(const bus::Delivery& delivery, Facts* facts);

  Observer& observer_;
  ClassNames classes_;  // Of the event before: the same most of the time.
};

}  // namespace tidewheel::monitoring
