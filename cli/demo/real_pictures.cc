#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "tidewheel/cli/demo/picture_supply.h"
#include "tidewheel/cli/demo/task_files.h"
#include "tidewheel/cli/readers/csv_index.h"
#include "tidewheel/cli/readers/csv_reader.h"
#include "tidewheel/cli/readers/idx_reader.h"

namespace tidewheel::cli::demo {
namespace {

constexpr std::uint64_t kMaxPictureBytes = 16U << 20;

Error Refused(const RefusedPicture& picture) {
  return {ErrorCode::kDataLoss, picture.name + ": " + picture.reason};
}

/// The classes of traffic lights by path, as index.csv tells them.
class TrafficLights final : public PictureSupply {
 public:
  static Result<std::unique_ptr<PictureSupply>> Open(const std::filesystem::path& folder,
                                                     std::optional<std::uint64_t> limit) {
    auto supply = std::make_unique<TrafficLights>();
    supply->traits_.task_yaml = kTrafficLightsYaml;
    supply->traits_.classes = {"red", "yellow", "green"};
    supply->traits_.rarest_class = 1;
    supply->traits_.confusions = {{1, 0, 0.5}, {2, 1, 0.05}};
    supply->traits_.source = "camera";
    if (const auto read = supply->ReadClasses(folder / "index.csv"); !read) return read.error();
    ReadOptions options;
    options.max_payload_bytes = kMaxPictureBytes;
    auto pictures =
        OpenCsvIndex(folder / "index.csv", folder / "traffic_light_images.zip", options);
    if (!pictures) return pictures.error();
    supply->pictures_ = *std::move(pictures);
    supply->left_ = std::min<std::uint64_t>(limit.value_or(~0ULL), supply->classes_.size());
    supply->traits_.expected = supply->left_;
    supply->traits_.title = "real photographs of traffic lights from " + folder.string();
    if (!limit) {
      supply->traits_.goals.cnn_accuracy = 0.99;
      supply->traits_.goals.rarest_recall = 8.0 / 9.0;
    }
    return std::unique_ptr<PictureSupply>(std::move(supply));
  }

  const SupplyTraits& traits() const override { return traits_; }

  Result<std::optional<GivenPicture>> Next() override {
    const std::lock_guard lock(mutex_);
    if (left_ == 0) return std::optional<GivenPicture>();
    --left_;
    auto read = pictures_->Next();
    if (!read) return read.error();
    if (!read->has_value()) return std::optional<GivenPicture>();
    if (const auto* refused = std::get_if<RefusedPicture>(&**read)) return Refused(*refused);
    GivenPicture given{std::get<Picture>(std::move(**read)), 0, next_++};
    // A group of its own: the set does not tell which pictures show the same light.
    given.picture.group = given.picture.name;
    given.class_index = classes_.at(given.picture.name);
    return std::optional(std::move(given));
  }

 private:
  Result<void> ReadClasses(const std::filesystem::path& index) {
    auto table = CsvReader::Open(index);
    if (!table) return table.error();
    const auto path = table->Find("path");
    const auto label = table->Find("label");
    if (!path || !label) {
      return Error{ErrorCode::kInvalidArgument, index.string() + ": no columns path and label"};
    }
    while (true) {
      auto row = table->Next();
      if (!row) return row.error();
      if (!row->has_value()) return {};
      const std::string& name = (*row)->fields[*label];
      const auto found = std::find(traits_.classes.begin(), traits_.classes.end(), name);
      if (found == traits_.classes.end()) {
        return Error{
            ErrorCode::kInvalidArgument,
            index.string() + ": line " + std::to_string((*row)->line) + ": no class " + name};
      }
      classes_[(*row)->fields[*path]] = static_cast<std::size_t>(found - traits_.classes.begin());
    }
  }

  SupplyTraits traits_;
  std::map<std::string, std::size_t> classes_;
  std::mutex mutex_;  // Guards everything below.
  std::unique_ptr<PictureSource> pictures_;
  std::uint64_t left_ = 0;
  std::uint64_t next_ = 0;
};

/// One of the two parts of an IDX data set: pictures and their labels, read side by side.
struct IdxPart {
  std::unique_ptr<PictureSource> pictures;
  IdxLabels labels;
  std::uint64_t left;
};

std::filesystem::path GzipOrNot(const std::filesystem::path& path) {
  const std::filesystem::path packed = path.string() + ".gz";
  return std::filesystem::exists(packed) ? packed : path;
}

Result<IdxPart> OpenPart(const std::filesystem::path& folder, const std::string& part) {
  ReadOptions options;
  options.max_payload_bytes = kMaxPictureBytes;
  options.split_from_path = true;
  auto pictures = OpenIdxPictures(GzipOrNot(folder / (part + "-images-idx3-ubyte")), options);
  if (!pictures) return pictures.error();
  auto labels = IdxLabels::Open(GzipOrNot(folder / (part + "-labels-idx1-ubyte")));
  if (!labels) return labels.error();
  const std::uint64_t size = labels->size();
  return IdxPart{*std::move(pictures), *std::move(labels), size};
}

class FashionPictures final : public PictureSupply {
 public:
  static Result<std::unique_ptr<PictureSupply>> Open(const std::filesystem::path& folder,
                                                     std::optional<std::uint64_t> limit) {
    auto supply = std::make_unique<FashionPictures>();
    std::uint64_t total = 0;
    for (const char* part : {"train", "t10k"}) {
      auto opened = OpenPart(folder, part);
      if (!opened) return opened.error();
      total += opened->left;
      supply->parts_.push_back(*std::move(opened));
    }
    SupplyTraits& traits = supply->traits_;
    const std::uint64_t wanted = std::min(limit.value_or(total), total);
    for (IdxPart& part : supply->parts_) {
      part.left = part.left * wanted / total;
      traits.expected += part.left;
    }
    traits.task_yaml = kFashionMnistYaml;
    traits.classes = {"t-shirt", "trouser", "pullover", "dress", "coat",
                      "sandal",  "shirt",   "sneaker",  "bag",   "ankle-boot"};
    traits.rarest_class = 6;  // None is rare; shirts are the hardest.
    traits.confusions = {{6, 0, 0.4}, {4, 2, 0.3}};
    traits.voted_training_pictures = 6'000;
    traits.source = "import";
    traits.title = "Fashion-MNIST from " + folder.string();
    if (!limit) {
      traits.goals.cnn_accuracy = 0.90;
      traits.goals.pushed_per_second = 2'000;
    }
    return std::unique_ptr<PictureSupply>(std::move(supply));
  }

  const SupplyTraits& traits() const override { return traits_; }

  Result<std::optional<GivenPicture>> Next() override {
    const std::lock_guard lock(mutex_);
    while (part_ < parts_.size() && parts_[part_].left == 0) ++part_;
    if (part_ == parts_.size()) return std::optional<GivenPicture>();
    IdxPart& part = parts_[part_];
    --part.left;
    auto read = part.pictures->Next();
    if (!read) return read.error();
    const auto label = part.labels.Next();
    if (!label) return label.error();
    if (!read->has_value() || !label->has_value()) {
      return Error{ErrorCode::kDataLoss, "there are fewer pictures than labels"};
    }
    if (const auto* refused = std::get_if<RefusedPicture>(&**read)) return Refused(*refused);
    if (**label >= traits_.classes.size()) {
      return Error{ErrorCode::kDataLoss, "label " + std::to_string(**label) + " is not 0 to 9"};
    }
    GivenPicture given{std::get<Picture>(std::move(**read)), **label, next_++};
    given.picture.group = given.picture.name;
    return std::optional(std::move(given));
  }

 private:
  SupplyTraits traits_;
  std::mutex mutex_;  // Guards everything below.
  std::vector<IdxPart> parts_;
  std::size_t part_ = 0;
  std::uint64_t next_ = 0;
};

}  // namespace

Result<std::unique_ptr<PictureSupply>> OpenRealPictures(const std::filesystem::path& folder,
                                                        std::optional<std::uint64_t> limit) {
  std::error_code ignored;
  if (std::filesystem::exists(folder / "traffic_light_images.zip", ignored)) {
    return TrafficLights::Open(folder, limit);
  }
  if (std::filesystem::exists(GzipOrNot(folder / "train-images-idx3-ubyte"), ignored)) {
    return FashionPictures::Open(folder, limit);
  }
  return Error{ErrorCode::kNotFound,
               folder.string() +
                   ": neither traffic lights (index.csv, traffic_light_images.zip) nor "
                   "Fashion-MNIST (train-images-idx3-ubyte.gz and three more)"};
}

}  // namespace tidewheel::cli::demo
