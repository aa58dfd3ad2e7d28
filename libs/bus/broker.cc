#include "tidewheel/bus/broker.h"

#include "tidewheel/bus/kafka_broker.h"
#include "tidewheel/bus/postgres_broker.h"

namespace tidewheel::bus {

Result<void> Subscription::CommitAfter(std::span<const Delivery> deliveries) {
  std::map<std::pair<std::string, int>, std::int64_t> next;
  for (const Delivery& delivery : deliveries) {
    std::int64_t& offset = next[{delivery.message.topic, delivery.partition}];
    offset = std::max(offset, delivery.offset + 1);
  }
  std::vector<Position> positions;
  positions.reserve(next.size());
  for (const auto& [where, offset] : next) positions.push_back({where.first, where.second, offset});
  return Commit(positions);
}

Result<std::unique_ptr<Broker>> OpenBroker(const BrokerOptions& options) {
  if (options.address.empty()) {
    return Error{ErrorCode::kInvalidArgument, "bus: the address is empty"};
  }
  if (options.driver == "postgres") return OpenPostgresBroker(options);
  if (options.driver == "kafka") return OpenKafkaBroker(options);
  return Error{ErrorCode::kInvalidArgument,
               "bus: no driver '" + options.driver + "' (postgres or kafka)"};
}

}  // namespace tidewheel::bus
