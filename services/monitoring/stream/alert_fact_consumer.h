#pragma once

#include "tidewheel/base/result.h"
#include "tidewheel/bus/message.h"
#include "tidewheel/monitoring/domain/alert_keeper.h"
#include "tidewheel/monitoring/domain/observer.h"

namespace tidewheel::monitoring {

/// Hands what other services noticed to the keeper: assessed annotators (tidewheel.labels) and
/// captured samples, taken or set aside (tidewheel.samples). Everything else on those topics is
/// passed over. kInvalidArgument: a payload that is no such event.
class AlertFactConsumer {
 public:
  AlertFactConsumer(AlertKeeper& keeper, PolicySource& policies)
      : keeper_(keeper), policies_(policies) {}

  Result<void> Handle(const bus::Delivery& delivery);

 private:
  AlertKeeper& keeper_;
  PolicySource& policies_;
};

}  // namespace tidewheel::monitoring
