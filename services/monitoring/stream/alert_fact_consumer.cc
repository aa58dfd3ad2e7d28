#include "tidewheel/monitoring/stream/alert_fact_consumer.h"

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

}  // namespace

Result<void> AlertFactConsumer::Handle(const bus::Delivery& delivery) {
  const std::string& type = delivery.message.type;
  if (type == "annotator.assessed") {
    events::v1::AnnotatorEvent event;
    if (!event.ParseFromString(delivery.message.payload)) {
      return Bad(delivery, "is no AnnotatorEvent");
    }
    if (event.task().empty() || event.annotator().empty()) {
      return Bad(delivery, "has no task or annotator");
    }
    if (event.recent_agreed() > event.recent_votes() ||
        event.earlier_agreed() > event.earlier_votes() || event.recent_votes() == 0) {
      return Bad(delivery, "counts more agreement than votes, or no votes");
    }
    const auto policy = PolicyOrDefault(policies_, event.task());
    if (!policy) return policy.error();
    return keeper_.OnAnnotator(
        {event.task(), event.annotator(), event.recent_votes(), event.recent_agreed(),
         event.earlier_votes(), event.earlier_agreed(), event.p_value(), TimeFrom(event.at())},
        *policy);
  }
  if (type == "sample.accepted" || type == "sample.quarantined") {
    events::v1::SampleEvent event;
    if (!event.ParseFromString(delivery.message.payload)) return Bad(delivery, "is no SampleEvent");
    // What people push says nothing about the traffic.
    if (event.source() != "production" || event.task().empty()) return {};
    const auto policy = PolicyOrDefault(policies_, event.task());
    if (!policy) return policy.error();
    CapturedSample sample;
    sample.event_id = delivery.message.event_id;
    sample.task = event.task();
    sample.name = event.request_id() + "#" + std::to_string(event.request_index());
    if (type == "sample.quarantined") {
      sample.reasons = {event.reasons().begin(), event.reasons().end()};
      if (sample.reasons.empty()) sample.reasons = {"unknown"};
    }
    sample.at = TimeFrom(event.at());
    return keeper_.OnCapturedSample(sample, *policy);
  }
  return {};
}

}  // namespace tidewheel::monitoring
