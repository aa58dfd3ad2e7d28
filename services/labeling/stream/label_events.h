#pragma once

#include <string>

#include "tidewheel/labeling/domain/label.h"
#include "tidewheel/labeling/domain/label_store.h"
#include "tidewheel/postgres/outbox.h"

namespace tidewheel::labeling {

/// What others learn of a new version of a label: "label.decided", or "label.withdrawn" for one
/// without a class. On topic tidewheel.labels, in order per sample, in the trace of this thread.
postgres::OutboxMessage ToEvent(const std::string& task, const Label& label);

/// "annotator.assessed", on the same topic, in order per annotator. `judged` has a recent quality.
postgres::OutboxMessage ToEvent(const std::string& task, const AnnotatorQuality& judged,
                                Timestamp at);

}  // namespace tidewheel::labeling
