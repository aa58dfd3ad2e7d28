#pragma once

#include <memory>

#include "tidewheel/base/result.h"
#include "tidewheel/bus/broker.h"

namespace tidewheel::bus {

/// Kafka through librdkafka: idempotent producer with acks=all, cooperative rebalancing, manual
/// commits. `options.driver` is not looked at. See OpenBroker.
Result<std::unique_ptr<Broker>> OpenKafkaBroker(const BrokerOptions& options);

}  // namespace tidewheel::bus
