#pragma once

#include "tidewheel/curation/domain/dataset.h"
#include "tidewheel/postgres/outbox.h"

namespace tidewheel::curation {

/// What others learn of a new version: "dataset.built" on topic tidewheel.datasets, in the trace of
/// this thread.
postgres::OutboxMessage ToEvent(const DatasetVersion& version);

}  // namespace tidewheel::curation
