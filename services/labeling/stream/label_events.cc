#include "tidewheel/labeling/stream/label_events.h"

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

}  // namespace tidewheel::labeling
