#include "tidewheel/curation/stream/dataset_events.h"

#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/log/trace.h"

namespace tidewheel::curation {

postgres::OutboxMessage ToEvent(const DatasetVersion& version) {
  events::v1::DatasetEvent event;
  event.set_dataset_version_id(version.dataset_version_id.text());
  event.set_task(version.task);
  event.set_version(version.version);
  event.set_digest(version.digest.Hex());
  event.set_items(version.items);
  return {.event_id = version.dataset_version_id.text(),  // A version is built once.
          .topic = "tidewheel.datasets",
          .key = version.dataset_version_id.text(),
          .type = "dataset.built",
          .headers = {},
          .payload = event.SerializeAsString(),
          .traceparent = log::CurrentTraceParent()};
}

}  // namespace tidewheel::curation
