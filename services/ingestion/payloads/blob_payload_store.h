#pragma once

#include "tidewheel/blob/store.h"
#include "tidewheel/ingestion/domain/sample_store.h"

namespace tidewheel::ingestion {

/// Payloads in the content-addressed store. Thread-safe.
class BlobPayloadStore final : public PayloadStore {
 public:
  explicit BlobPayloadStore(blob::Store& store) : store_(store) {}

  Result<std::vector<std::string>> PutMany(std::span<const HashedPayload> payloads) override;
  /// kDataLoss: the stored bytes are damaged. kNotFound: they were erased.
  Result<std::string> Get(const std::string& ref) const override;

 private:
  blob::Store& store_;
};

}  // namespace tidewheel::ingestion
