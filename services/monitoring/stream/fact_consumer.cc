#include "tidewheel/monitoring/stream/fact_consumer.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/events/v1/prediction_reading.pb.h"

namespace tidewheel::monitoring {
namespace {

constexpr std::size_t kMostMeasures = 10'000;  // Of one answer.

Timestamp TimeFrom(const google::protobuf::Timestamp& time) {
  return Timestamp(std::chrono::seconds(time.seconds()) +
                   std::chrono::microseconds(time.nanos() / 1'000));
}

Error Bad(const bus::Delivery& delivery, const std::string& why) {
  return {ErrorCode::kInvalidArgument,
          "event " + delivery.message.event_id + " of " + delivery.message.topic + " " + why};
}

/// An event that says no role tells it by its type.
Result<Role> RoleOf(const bus::Delivery& delivery, const std::string& role) {
  if (role.empty()) {
    return delivery.message.type == "prediction.shadowed" ? Role::kShadow : Role::kProduction;
  }
  const auto known = RoleNamed(role);
  if (!known) return Bad(delivery, "has the unknown role " + role.substr(0, 64));
  return *known;
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

/// What a batch tells.
struct Facts {
  std::vector<Prediction> predictions;
  std::vector<Failure> failures;
  std::vector<Outcome> outcomes;
  std::shared_ptr<const std::vector<std::string>> classes;  // Of the event before: mostly the same.
};

Result<void> AppendPredictions(const bus::Delivery& delivery, Facts* facts) {
  google::protobuf::Arena arena;
  auto& event = *google::protobuf::Arena::CreateMessage<events::v1::PredictionReading>(&arena);
  if (!event.ParseFromString(delivery.message.payload)) {
    return Bad(delivery, "is no PredictionEvent");
  }
  if (event.request_id().empty() || event.task().empty()) {
    return Bad(delivery, "has no request or task");
  }
  const auto role = RoleOf(delivery, event.role());
  if (!role) return role.error();
  const double seconds = std::isfinite(event.seconds()) ? event.seconds() : 0;
  const ModelKey model{event.task(), event.model_version_id()};
  if (delivery.message.type == "prediction.failed" || !event.error().empty()) {
    facts->failures.push_back(
        {event.request_id(), model, TimeFrom(event.predicted_at()), *role, seconds, event.error()});
    return {};
  }
  const bool same =
      facts->classes != nullptr && std::equal(facts->classes->begin(), facts->classes->end(),
                                              event.classes().begin(), event.classes().end());
  if (!same) {
    facts->classes = std::make_shared<const std::vector<std::string>>(event.classes().begin(),
                                                                      event.classes().end());
  }
  for (int i = 0; i < event.items_size(); ++i) {
    const auto& item = event.items(i);
    const std::int64_t answered = item.class_index();
    if (answered >= event.classes_size() || answered >= item.probabilities_size()) {
      return Bad(delivery, "answers class " + std::to_string(item.class_index()) + " of " +
                               std::to_string(event.classes_size()));
    }
    if (item.measures_size() > static_cast<int>(kMostMeasures)) {
      return Bad(delivery, "has " + std::to_string(item.measures_size()) + " measures, at most " +
                               std::to_string(kMostMeasures) + " are taken");
    }
    Prediction& prediction = facts->predictions.emplace_back();
    prediction.request_id = event.request_id();
    prediction.index = static_cast<std::uint32_t>(i);
    prediction.model = model;
    prediction.classes = facts->classes;
    prediction.class_index = item.class_index();
    prediction.confidence = static_cast<double>(item.probabilities(static_cast<int>(answered)));
    if (!(prediction.confidence >= 0 && prediction.confidence <= 1.000001)) {
      return Bad(delivery, "has a confidence outside 0 to 1");
    }
    prediction.probabilities = {item.probabilities().begin(), item.probabilities().end()};
    prediction.predicted_at = TimeFrom(event.predicted_at());
    prediction.payload_sha256 = item.payload_sha256();
    prediction.measures.reserve(static_cast<std::size_t>(item.measures_size()));
    for (const auto& measure : item.measures()) {
      prediction.measures.push_back({measure.name(), measure.value()});
    }
    prediction.embedding = {item.embedding().begin(), item.embedding().end()};
    prediction.quality_problems = {item.quality_problems().begin(), item.quality_problems().end()};
    prediction.role = *role;
    prediction.seconds = seconds;
    if (item.has_answered_class_index()) {
      prediction.answered_class_index = item.answered_class_index();
    }
    prediction.metadata = {event.metadata().begin(), event.metadata().end()};
  }
  return {};
}

}  // namespace

Result<void> FactConsumer::Handle(std::span<const bus::Delivery> deliveries) {
  Facts facts;
  facts.predictions.reserve(deliveries.size());
  for (const auto& delivery : deliveries) {
    const auto taken = delivery.message.type == "outcome.recorded"
                           ? Append(delivery, &facts.outcomes)
                           : AppendPredictions(delivery, &facts);
    if (!taken) return taken;
  }
  if (!facts.predictions.empty()) {
    if (const auto seen = observer_.Observe(std::move(facts.predictions)); !seen) return seen;
  }
  if (!facts.failures.empty()) {
    if (const auto seen = observer_.Observe(facts.failures); !seen) return seen;
  }
  if (!facts.outcomes.empty()) return observer_.Observe(facts.outcomes);
  return {};
}

}  // namespace tidewheel::monitoring
