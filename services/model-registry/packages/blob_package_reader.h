#pragma once

#include "tidewheel/blob/store.h"
#include "tidewheel/model_registry/domain/model_store.h"

namespace tidewheel::model_registry {

/// Reads a package's manifest and evaluation from the payload store, and checks that every file it
/// lists is there with the bytes it claims. Thread-safe.
class BlobPackageReader final : public PackageReader {
 public:
  explicit BlobPackageReader(const blob::Store& payloads) : payloads_(payloads) {}

  Result<PackageManifest> Read(const std::vector<PackageFile>& files) const override;

 private:
  const blob::Store& payloads_;
};

}  // namespace tidewheel::model_registry
