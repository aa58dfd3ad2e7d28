#include "tidewheel/inference/engine/package_files.h"

namespace tidewheel::inference {

Result<std::string> ReadPackageFile(const blob::Store& payloads, const ModelPackage& package,
                                    std::string_view name) {
  for (const auto& file : package.files) {
    if (file.name != name) continue;
    const auto ref = blob::Ref::Parse(file.payload_ref);
    if (!ref) return Prefixed(file.name + ": ", ref.error());
    auto bytes = payloads.Get(*ref);
    if (!bytes) return Prefixed(file.name + ": ", bytes.error());
    return bytes;
  }
  return Error{ErrorCode::kInvalidArgument, "the package has no " + std::string(name)};
}

}  // namespace tidewheel::inference
