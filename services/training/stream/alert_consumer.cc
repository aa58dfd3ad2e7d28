#include "tidewheel/training/stream/alert_consumer.h"

#include <cmath>

#include "tidewheel/events/v1/events.pb.h"

namespace tidewheel::training {
namespace {

std::optional<Timestamp> TimeFrom(bool is_set, const google::protobuf::Timestamp& time) {
  if (!is_set) return std::nullopt;
  return Timestamp(std::chrono::seconds(time.seconds()) +
                   std::chrono::microseconds(time.nanos() / 1'000));
}

}  // namespace

Result<void> AlertConsumer::Handle(const bus::Delivery& delivery) {
  const auto bad = [&delivery](const std::string& why) {
    return Error{ErrorCode::kInvalidArgument, "event " + delivery.message.event_id + " of " +
                                                  delivery.message.topic + " " + why};
  };
  const std::string& type = delivery.message.type;
  if (type != "alert.raised" && type != "alert.resolved") return {};
  events::v1::AlertEvent event;
  if (!event.ParseFromString(delivery.message.payload)) return bad("is no AlertEvent");
  if (event.alert_id().empty() || event.task().empty()) return bad("has no alert or task");
  if (!std::isfinite(event.damage())) return bad("has a damage that is no number");
  if (type == "alert.resolved") return starter_.OnAlertResolved(event.alert_id());

  auto since = TimeFrom(event.has_since(), event.since());
  if (!since) since = TimeFrom(event.has_raised_at(), event.raised_at());
  const auto decided = starter_.OnAlert({.event_id = delivery.message.event_id,
                                         .alert_id = event.alert_id(),
                                         .task = event.task(),
                                         .model_version_id = event.model_version_id(),
                                         .cause = event.cause(),
                                         .damage = event.damage(),
                                         .since = since});
  return decided ? Result<void>() : Result<void>(decided.error());
}

}  // namespace tidewheel::training
