#include "tidewheel/bus/message.h"

namespace tidewheel::bus {

Position After(const Delivery& delivery) {
  return {delivery.message.topic, delivery.partition, delivery.offset + 1};
}

std::string DeadLetterTopic(std::string_view topic) { return std::string(topic) + ".dlq"; }

}  // namespace tidewheel::bus
