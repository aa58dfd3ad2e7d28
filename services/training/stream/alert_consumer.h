#pragma once

#include "tidewheel/base/result.h"
#include "tidewheel/bus/message.h"
#include "tidewheel/training/domain/cycle_starter.h"

namespace tidewheel::training {

/// Hands events of tidewheel.alerts to the starter of cycles. A repeat decides nothing anew.
/// kInvalidArgument: a payload that is no such event, which then goes to the dead letters.
class AlertConsumer {
 public:
  explicit AlertConsumer(CycleStarter& starter) : starter_(starter) {}

  Result<void> Handle(const bus::Delivery& delivery);

 private:
  CycleStarter& starter_;
};

}  // namespace tidewheel::training
