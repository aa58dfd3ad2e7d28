#include "tidewheel/curation/storage/blob_manifest_archive.h"

#include "tidewheel/blob/sha256.h"
#include "tidewheel/blob/store.h"

namespace tidewheel::curation {

Digest BlobManifestArchive::DigestOf(const std::string& text) const { return blob::Sha256(text); }

Result<std::string> BlobManifestArchive::Put(const std::string& text) {
  const auto ref = payloads_.Put(text);
  if (!ref) return Prefixed("keeping the manifest: ", ref.error());
  return ref->text();
}

}  // namespace tidewheel::curation
