#pragma once

#include "tidewheel/curation/domain/dataset_store.h"

namespace tidewheel::blob {
class Store;
}

namespace tidewheel::curation {

/// Manifests in the payload store.
class BlobManifestArchive final : public ManifestArchive {
 public:
  explicit BlobManifestArchive(blob::Store& payloads) : payloads_(payloads) {}

  Digest DigestOf(const std::string& text) const override;
  Result<std::string> Put(const std::string& text) override;

 private:
  blob::Store& payloads_;
};

}  // namespace tidewheel::curation
