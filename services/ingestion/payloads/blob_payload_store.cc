#include "tidewheel/ingestion/payloads/blob_payload_store.h"

namespace tidewheel::ingestion {

Result<std::vector<std::string>> BlobPayloadStore::PutMany(
    std::span<const HashedPayload> payloads) {
  std::vector<blob::HashedPayload> hashed;
  hashed.reserve(payloads.size());
  for (const auto& payload : payloads) hashed.push_back({payload.bytes, payload.sha256});
  const auto stored = store_.PutHashed(hashed);
  if (!stored) return stored.error();

  std::vector<std::string> refs;
  refs.reserve(stored->size());
  for (const auto& ref : *stored) refs.push_back(ref.text());
  return refs;
}

Result<std::string> BlobPayloadStore::Get(const std::string& ref) const {
  const auto parsed = blob::Ref::Parse(ref);
  if (!parsed) return parsed.error();
  return store_.Get(*parsed);
}

}  // namespace tidewheel::ingestion
