#pragma once

#include <cstddef>
#include <span>

#include "tidewheel/base/result.h"
#include "tidewheel/bus/message.h"
#include "tidewheel/ingestion/domain/batch_ingestor.h"
#include "tidewheel/ingestion/domain/sample_store.h"

namespace tidewheel::ingestion {

/// Takes what serving captured (events of tidewheel.captures) as samples of source "production",
/// named "<request_id>#<index>": a repeat of an event, whole or after a crash, changes nothing.
/// For one thread.
class CaptureConsumer {
 public:
  struct Limits {
    std::size_t samples = 100;      // Stored in one transaction.
    std::size_t bytes = 16U << 20;  // Of payloads held at once, but for one that is larger.
  };

  CaptureConsumer(BatchIngestor& ingestor, const PayloadStore& payloads, Limits limits)
      : ingestor_(ingestor), payloads_(payloads), limits_(limits) {}

  /// kInvalidArgument: a payload that is no such event. kNotFound: the task or the payload is gone.
  /// Those go to the dead letters.
  Result<void> Handle(std::span<const bus::Delivery> deliveries);

 private:
  BatchIngestor& ingestor_;
  const PayloadStore& payloads_;
  const Limits limits_;
};

}  // namespace tidewheel::ingestion
