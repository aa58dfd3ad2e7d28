#include "tidewheel/model_registry/storage/model_event.h"

#include "tidewheel/base/ids.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/postgres/outbox.h"

namespace tidewheel::model_registry {

Result<void> EnqueueModelEvent(pqxx::work& tx, const std::string& type, const ModelFact& fact) {
  events::v1::ModelEvent event;
  event.set_task(fact.task);
  event.set_model_version_id(fact.model_version_id);
  event.set_version(fact.version);
  event.set_stage(fact.stage);
  event.set_revision(fact.revision);
  event.set_previous_model_version_id(fact.previous_model_version_id);

  postgres::OutboxMessage message;
  message.event_id = NewUuid();
  message.topic = "tidewheel.models";
  message.key = fact.task;
  message.type = type;
  message.payload = event.SerializeAsString();
  return postgres::Outbox("registry").Enqueue(tx, message);
}

}  // namespace tidewheel::model_registry
