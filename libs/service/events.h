#pragma once

#include <memory>
#include <span>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/bus/broker.h"
#include "tidewheel/bus/outbox_relay.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/service/service_config.h"

namespace tidewheel::service {

/// Of every topic a service makes: how many members of a group may share its work.
inline constexpr int kPartitions = 4;

/// Opens the bus as `source` and makes the topics it is to have.
Result<std::unique_ptr<bus::Broker>> OpenBus(const BusConfig& config, const std::string& source,
                                             std::span<const std::string> topics);

/// Moves what `schema` has in its outbox to the bus, as a worker. `service` is the word in the
/// metrics' names: "model_registry". All three must outlive it.
std::unique_ptr<bus::OutboxRelay> RelayOutbox(postgres::Pool& pool, bus::Broker& broker,
                                              metrics::Registry& metrics, const std::string& schema,
                                              const std::string& service);

}  // namespace tidewheel::service
