#include "tidewheel/model_registry/domain/model_version.h"

#include <algorithm>

namespace tidewheel::model_registry {

std::string_view StageName(RolloutStage stage) {
  switch (stage) {
    case RolloutStage::kShadow:
      return "shadow";
    case RolloutStage::kCanary:
      return "canary";
  }
  return "shadow";
}

std::string DigestedBytes(std::vector<PackageFile> files) {
  std::sort(files.begin(), files.end(),
            [](const PackageFile& a, const PackageFile& b) { return a.name < b.name; });
  std::string bytes;
  for (const auto& file : files) bytes += file.name + "\n" + file.sha256 + "\n";
  return bytes;
}

}  // namespace tidewheel::model_registry
