#include "tidewheel/monitoring/stream/fact_consumer.h"

#include "tidewheel/events/v1/events.pb.h"

namespace tidewheel::monitoring {
namespace {

Timestamp TimeFrom(const google::protobuf::Timestamp& time) {
  return Timestamp(std::chrono::seconds(time.seconds()) +
                   std::chrono::microseconds(time.nanos() / 1'000));
}

Error Bad(const bus::Delivery& delivery, const std::string& why) {
  return {ErrorCode::kInvalidArgument,
          "event " + delivery.message.event_id + " of " + delivery.message.topic + " " + why};
}

Result<void> Append(const bus::Delivery& delivery, std::vector<Prediction>* predictions) {
  events::v1::PredictionEvent event;
  if (!event.ParseFromString(delivery.message.payload)) {
    return Bad(delivery, "is no PredictionEvent");
  }
  if (event.request_id().empty() || event.task().empty())
    return Bad(delivery, "has no request or task");
  for (int i = 0; i < event.items_size(); ++i) {
    const auto& item = event.items(i);
    const std::int64_t asked = item.class_index();
    if (asked >= event.classes_size() || asked >= item.probabilities_size()) {
      return Bad(delivery, "answers class " + std::to_string(item.class_index()) + " of " +
                               std::to_string(event.classes_size()));
    }
    const int index = static_cast<int>(asked);
    Prediction prediction;
    prediction.request_id = event.request_id();
    prediction.index = static_cast<std::uint32_t>(i);
    prediction.model = {event.task(), event.model_version_id()};
    prediction.class_name = event.classes(index);
    prediction.confidence = static_cast<double>(item.probabilities(index));
    if (!(prediction.confidence >= 0 && prediction.confidence <= 1.000001)) {
      return Bad(delivery, "has a confidence outside 0 to 1");
    }
    prediction.probabilities = {item.probabilities().begin(), item.probabilities().end()};
    prediction.predicted_at = TimeFrom(event.predicted_at());
    prediction.payload_sha256 = item.payload_sha256();
    prediction.measures = {item.measures().begin(), item.measures().end()};
    predictions->push_back(std::move(prediction));
  }
  return {};
}

Result<void> Append(const bus::Delivery& delivery, std::vector<Outcome>* outcomes) {
  events::v1::OutcomeEvent event;
  if (!event.ParseFromString(delivery.message.payload)) return Bad(delivery, "is no OutcomeEvent");
  if (event.request_id().empty() || event.class_name().empty()) {
    return Bad(delivery, "has no request or class");
  }
  outcomes->push_back({event.request_id(), event.index(), event.class_name(), event.source(),
                       TimeFrom(event.observed_at())});
  return {};
}

}  // namespace

Result<void> FactConsumer::Handle(std::span<const bus::Delivery> deliveries) {
  std::vector<Prediction> predictions;
  std::vector<Outcome> outcomes;
  for (const auto& delivery : deliveries) {
    const auto taken = delivery.message.type == "outcome.recorded" ? Append(delivery, &outcomes)
                                                                   : Append(delivery, &predictions);
    if (!taken) return taken;
  }
  if (!predictions.empty()) {
    if (const auto observed = observer_.Observe(predictions); !observed) return observed;
  }
  if (!outcomes.empty()) return observer_.Observe(outcomes);
  return {};
}

}  // namespace tidewheel::monitoring
