#include "tidewheel/ingestion/stream/capture_consumer.h"

#include <array>
#include <charconv>
#include <chrono>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/events/v1/events.pb.h"

namespace tidewheel::ingestion {
namespace {

constexpr char kSource[] = "production";

/// The shortest text that reads back as this number.
std::string TextOf(double number) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  return {text.data(), end};
}

Error Bad(const bus::Delivery& delivery, const std::string& why) {
  return {ErrorCode::kInvalidArgument,
          "event " + delivery.message.event_id + " of " + delivery.message.topic + " " + why};
}

Result<events::v1::CaptureEvent> Parse(const bus::Delivery& delivery) {
  events::v1::CaptureEvent event;
  if (!event.ParseFromString(delivery.message.payload)) return Bad(delivery, "is no CaptureEvent");
  if (event.request_id().empty() || event.task().empty()) {
    return Bad(delivery, "has no request or task");
  }
  if (event.payload_ref().empty()) return Bad(delivery, "names no payload");
  if (event.index() > 0x7FFFFFFFU) return Bad(delivery, "has an index beyond 31 bits");
  return event;
}

NewSample SampleOf(const events::v1::CaptureEvent& event, std::string_view payload) {
  NewSample sample;
  sample.payload = payload;
  sample.name = event.request_id() + "#" + std::to_string(event.index());
  sample.source = kSource;
  if (event.has_captured_at()) {
    sample.collected_at = Timestamp(std::chrono::seconds(event.captured_at().seconds()) +
                                    std::chrono::microseconds(event.captured_at().nanos() / 1'000));
  }
  sample.metadata = {event.metadata().begin(), event.metadata().end()};
  if (const auto group = sample.metadata.find("group"); group != sample.metadata.end()) {
    sample.group = group->second;
  }
  // What serving says goes before what the client called so.
  sample.metadata["request_id"] = event.request_id();
  sample.metadata["request_index"] = std::to_string(event.index());
  sample.metadata["captured_because"] = event.because();
  sample.metadata["inclusion_probability"] = TextOf(event.inclusion_probability());
  sample.metadata["model_version_id"] = event.model_version_id();
  sample.metadata["confidence"] = TextOf(event.confidence());
  sample.metadata["class_name"] = event.class_name();
  sample.request = {event.request_id(), event.index(), event.because(),
                    event.inclusion_probability()};
  return sample;
}

}  // namespace

Result<void> CaptureConsumer::Handle(std::span<const bus::Delivery> deliveries) {
  std::vector<NewSample> batch;
  std::deque<std::string> payloads;  // What the batch looks at; a deque moves none of them.
  std::string task;
  std::size_t bytes = 0;
  const auto ingest = [&]() -> Result<void> {
    if (batch.empty()) return {};
    const auto verdicts = ingestor_.Ingest(task, batch);
    batch.clear();
    payloads.clear();
    bytes = 0;
    return verdicts ? Result<void>() : verdicts.error();
  };

  for (const auto& delivery : deliveries) {
    const auto event = Parse(delivery);
    if (!event) return event.error();
    auto payload = payloads_.Get(event->payload_ref());
    if (!payload) {
      return Prefixed("payload of request " + event->request_id() + ": ", payload.error());
    }
    const bool full = batch.size() >= limits_.samples || bytes + payload->size() > limits_.bytes;
    if (full || event->task() != task) {
      if (const auto done = ingest(); !done) return done;
    }
    task = event->task();
    bytes += payload->size();
    payloads.push_back(*std::move(payload));
    batch.push_back(SampleOf(*event, payloads.back()));
  }
  return ingest();
}

}  // namespace tidewheel::ingestion
