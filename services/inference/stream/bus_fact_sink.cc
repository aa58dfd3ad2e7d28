#include "tidewheel/inference/stream/bus_fact_sink.h"

#include "tidewheel/base/ids.h"
#include "tidewheel/events/v1/events.pb.h"

namespace tidewheel::inference {
namespace {

void SetTime(Timestamp time, google::protobuf::Timestamp* out) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  out->set_seconds(seconds.time_since_epoch().count());
  out->set_nanos(static_cast<std::int32_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(time - seconds).count()));
}

bus::Message MessageOf(std::string topic, std::string type, std::string key, Timestamp time,
                       std::string payload) {
  bus::Message message;
  message.topic = std::move(topic);
  message.type = std::move(type);
  message.key = std::move(key);
  message.event_id = NewUuid();
  message.time = time;
  message.payload = std::move(payload);
  return message;
}

std::string TypeOf(const PredictionFact& fact) {
  if (fact.error) return "prediction.failed";
  return fact.role == Role::kShadow ? "prediction.shadowed" : "prediction.made";
}

}  // namespace

void BusFactSink::Tell(const PredictionFact& fact) {
  events::v1::PredictionEvent event;
  event.set_request_id(std::string(fact.request_id));
  event.set_task(fact.model->task);
  event.set_model_version_id(fact.model->model_version_id);
  SetTime(fact.at, event.mutable_predicted_at());
  for (const auto& name : fact.model->classes) event.add_classes(name);
  event.set_role(std::string(Name(fact.role)));
  event.set_variant(std::string(fact.variant));
  event.set_seconds(fact.seconds);
  if (fact.error) event.set_error(std::string(Name(*fact.error)));
  for (std::size_t i = 0; i < fact.answers.size(); ++i) {
    const Answer& answer = fact.answers[i];
    auto* item = event.add_items();
    item->set_class_index(answer.class_index);
    item->mutable_probabilities()->Add(answer.probabilities.begin(), answer.probabilities.end());
    item->set_payload_sha256(answer.payload_sha256);
    item->mutable_measures()->insert(answer.measures.begin(), answer.measures.end());
    item->mutable_embedding()->Add(answer.embedding.begin(), answer.embedding.end());
    for (const auto& problem : answer.quality_problems) item->add_quality_problems(problem);
    if (i < fact.answered.size() && fact.answered[i]) {
      item->set_answered_class_index(*fact.answered[i]);
    }
  }
  event.mutable_metadata()->insert(fact.metadata->begin(), fact.metadata->end());
  // What cannot be taken is counted by the publisher: an answer never waits for its event.
  publisher_.Offer(MessageOf("tidewheel.predictions", TypeOf(fact), std::string(fact.request_id),
                             fact.at, event.SerializeAsString()));
}

bool BusFactSink::Tell(const OutcomeFact& fact) {
  events::v1::OutcomeEvent event;
  event.set_request_id(fact.request_id);
  event.set_task(fact.task);
  event.set_index(fact.index);
  event.set_class_name(fact.class_name);
  event.set_source(fact.source);
  SetTime(fact.observed_at, event.mutable_observed_at());
  return publisher_.Offer(MessageOf("tidewheel.outcomes", "outcome.recorded", fact.request_id,
                                    fact.observed_at, event.SerializeAsString()));
}

bool BusFactSink::Tell(const CaptureFact& fact) {
  const CapturedPayload& captured = *fact.captured;
  events::v1::CaptureEvent event;
  event.set_request_id(captured.request_id);
  event.set_index(captured.index);
  event.set_task(captured.task);
  event.set_model_version_id(captured.model_version_id);
  SetTime(captured.at, event.mutable_captured_at());
  event.set_payload_ref(fact.payload_ref);
  event.set_payload_sha256(captured.sha256);
  event.set_size_bytes(captured.payload.size());
  event.set_because(std::string(Name(captured.decision.because)));
  event.set_inclusion_probability(captured.decision.inclusion_probability);
  event.set_class_name(captured.class_name);
  event.set_confidence(captured.confidence);
  event.mutable_metadata()->insert(captured.metadata.begin(), captured.metadata.end());
  return publisher_.Offer(MessageOf("tidewheel.captures", "payload.captured", captured.request_id,
                                    captured.at, event.SerializeAsString()));
}

}  // namespace tidewheel::inference
