#include "tidewheel/service/events.h"

#include <utility>

#include "tidewheel/log/log.h"

namespace tidewheel::service {

Result<std::unique_ptr<bus::Broker>> OpenBus(const BusConfig& config, const std::string& source,
                                             std::span<const std::string> topics) {
  auto broker = bus::OpenBroker(config.OptionsFor(source));
  if (!broker) return broker.error();
  if (const auto ensured = (*broker)->EnsureTopics(topics, kPartitions); !ensured) {
    return ensured.error();
  }
  return broker;
}

std::unique_ptr<bus::OutboxRelay> RelayOutbox(postgres::Pool& pool, bus::Broker& broker,
                                              metrics::Registry& metrics, const std::string& schema,
                                              const std::string& service) {
  const std::string prefix = "tidewheel_" + service;
  bus::OutboxRelayOptions options{
      .schema = schema,
      .relayed = metrics.Counter(prefix + "_events_relayed_total",
                                 "Events moved from the outbox to the bus."),
      .refused =
          metrics.Counter(prefix + "_events_refused_total", "Events the bus refuses for good."),
      .waiting = metrics.Gauge(prefix + "_outbox_events", "Events that wait in the outbox."),
      .on_problem = [](const Error& error) {
        log::Warning("the outbox waits", {{"problem", error}});
      }};
  return std::make_unique<bus::OutboxRelay>(pool, broker, std::move(options));
}

}  // namespace tidewheel::service
