#include "tidewheel/labeling/stream/label_events.h"

#include <chrono>

#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/log/trace.h"

namespace tidewheel::labeling {

postgres::OutboxMessage ToEvent(const std::string& task, const Label& label) {
  events::v1::LabelEvent event;
  event.set_sample_id(label.sample_id.text());
  event.set_task(task);
  event.set_label_id(label.label_id.text());
  event.set_class_name(label.class_name);
  event.set_confidence(label.confidence);
  event.set_method(std::string(Name(label.method)));
  event.set_version(label.version);
  return {.event_id = label.label_id.text(),  // One event a version: a repeat is recognisable.
          .topic = "tidewheel.labels",
          .key = label.sample_id.text(),
          .type = label.withdrawn() ? "label.withdrawn" : "label.decided",
          .headers = {},
          .payload = event.SerializeAsString(),
          .traceparent = log::CurrentTraceParent()};
}

postgres::OutboxMessage ToEvent(const std::string& task, const AnnotatorQuality& judged,
                                Timestamp at) {
  events::v1::AnnotatorEvent event;
  event.set_task(task);
  event.set_annotator(judged.annotator);
  event.set_recent_votes(judged.recent->recent_votes);
  event.set_recent_agreed(judged.recent->recent_agreed);
  event.set_earlier_votes(judged.recent->earlier_votes);
  event.set_earlier_agreed(judged.recent->earlier_agreed);
  event.set_p_value(judged.recent->worse_p_value);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(at);
  event.mutable_at()->set_seconds(seconds.time_since_epoch().count());
  event.mutable_at()->set_nanos(static_cast<std::int32_t>((at - seconds).count() * 1'000));
  return {.event_id = NewUuid(),
          .topic = "tidewheel.labels",
          .key = judged.annotator,
          .type = "annotator.assessed",
          .headers = {},
          .payload = event.SerializeAsString(),
          .traceparent = log::CurrentTraceParent()};
}

}  // namespace tidewheel::labeling
