#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/cli/demo/annotators.h"
#include "tidewheel/cli/readers/picture_source.h"

namespace tidewheel::cli::demo {

/// A picture whose class is known.
struct GivenPicture {
  Picture picture;
  std::size_t class_index = 0;
  std::uint64_t place = 0;  // In the supply, from 0.
};

/// What the demo has to measure itself by, where the issue that asked for it names a goal.
struct Goals {
  std::optional<double> cnn_accuracy;
  std::optional<double> rarest_recall;
  std::optional<double> pushed_per_second;
};

/// Where the demo's pictures come from, and what is to be learned from them.
struct SupplyTraits {
  std::string title;      // "1,484 photographs of traffic lights (DIR)".
  std::string task_yaml;  // One of deploy/tasks.
  std::vector<std::string> classes;
  std::size_t rarest_class = 0;
  std::vector<Confusion> confusions;  // Of the biased annotators.
  std::uint64_t expected = 0;         // How many pictures will come.
  /// So many training pictures are voted on; the others keep the label that came with them.
  std::uint64_t voted_training_pictures = ~std::uint64_t{0};
  std::string source;  // What ingestion is told, such as "camera".
  Goals goals;
};

/// Pictures one after the other, a few in memory at a time.
class PictureSupply {
 public:
  virtual ~PictureSupply() = default;
  virtual const SupplyTraits& traits() const = 0;
  /// The next one, none at the end. Thread-safe.
  virtual Result<std::optional<GivenPicture>> Next() = 0;
};

/// The real pictures that `folder` holds: traffic lights (index.csv and traffic_light_images.zip)
/// or Fashion-MNIST (four IDX files, gzip or not). `limit`: at most so many of them, in the same
/// proportion of training and test. kNotFound: neither.
Result<std::unique_ptr<PictureSupply>> OpenRealPictures(const std::filesystem::path& folder,
                                                        std::optional<std::uint64_t> limit);

/// `count` street lights, drawn from the seed: the same on every machine.
std::unique_ptr<PictureSupply> RenderPictures(std::uint64_t count, std::uint64_t seed);

}  // namespace tidewheel::cli::demo
