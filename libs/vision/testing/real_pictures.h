#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/vision/image.h"

/// For tests alone: the real data sets that lie beside a checkout.
namespace tidewheel::vision::testing {

/// TIDEWHEEL_DATA, else shared/data beside the source folder (TIDEWHEEL_SOURCE_DIR); nothing when
/// there is no such folder.
std::optional<std::filesystem::path> FindDataFolder();

struct EncodedPicture {
  std::string path;   ///< In the archive: traffic_light_images/<split>/<label>/<name>.jpg.
  std::string split;  ///< "training" or "test".
  std::string label;
  std::string bytes;
};

/// The 1,484 JPEGs of traffic_lights, in the archive's order.
Result<std::vector<EncodedPicture>> TrafficLights(const std::filesystem::path& data_folder);

/// The first `limit` grey pictures of an IDX file packed with gzip (Fashion-MNIST, MNIST).
Result<std::vector<Image>> IdxPictures(const std::filesystem::path& file, std::size_t limit);

}  // namespace tidewheel::vision::testing
