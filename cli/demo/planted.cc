#include "tidewheel/cli/demo/planted.h"

#include <algorithm>
#include <cmath>

#include "tidewheel/base/random.h"
#include "tidewheel/cli/output/table.h"
#include "tidewheel/vision/decode.h"
#include "tidewheel/vision/encode.h"

namespace tidewheel::cli::demo {
namespace {

namespace v1 = ingestion::v1;
using vision::Image;

constexpr std::size_t kBroken = 12;
constexpr std::size_t kBlack = 8;
constexpr std::size_t kWhite = 8;
constexpr std::size_t kBlurred = 10;
constexpr std::size_t kCopies = 15;
constexpr std::size_t kEncodedAgain = 12;

/// A gaussian of the given width in pixels, each axis on its own; the border repeats.
Image Blurred(const Image& image, double sigma) {
  const int radius = static_cast<int>(std::ceil(3 * sigma));
  std::vector<double> kernel;
  double sum = 0;
  for (int offset = -radius; offset <= radius; ++offset) {
    kernel.push_back(std::exp(-0.5 * (offset / sigma) * (offset / sigma)));
    sum += kernel.back();
  }
  for (double& weight : kernel) weight /= sum;

  std::vector<double> rows(image.pixels.size());
  Image blurred = image;
  const auto filter = [&](bool along_x, const auto& from, auto to) {
    for (int y = 0; y < image.height; ++y) {
      for (int x = 0; x < image.width; ++x) {
        for (int c = 0; c < image.channels; ++c) {
          double value = 0;
          for (int offset = -radius; offset <= radius; ++offset) {
            const int at_x = along_x ? std::clamp(x + offset, 0, image.width - 1) : x;
            const int at_y = along_x ? y : std::clamp(y + offset, 0, image.height - 1);
            value +=
                kernel[static_cast<std::size_t>(offset + radius)] *
                static_cast<double>(from[image.Offset(at_x, at_y) + static_cast<std::size_t>(c)]);
          }
          to(image.Offset(x, y) + static_cast<std::size_t>(c), value);
        }
      }
    }
  };
  filter(true, image.pixels, [&](std::size_t at, double value) { rows[at] = value; });
  filter(false, rows, [&](std::size_t at, double value) {
    blurred.pixels[at] = static_cast<std::uint8_t>(std::lround(value));
  });
  return blurred;
}

/// Nothing but a sensor's noise on `level`: no two are alike, and none is taken for blurred.
Image Noise(const Image& like, int level, Random& random) {
  Image image = like;
  for (auto& value : image.pixels) {
    value =
        static_cast<std::uint8_t>(std::clamp(level + static_cast<int>(random.Below(7)), 0, 255));
  }
  return image;
}

class Planter {
 public:
  Planter(const std::vector<Picture>& originals, std::uint64_t seed)
      : originals_(originals), random_(seed ^ 0x706c616e74ULL) {}

  Result<std::vector<PlantedPicture>> Plant(bool with_near_duplicates) {
    struct Kind {
      const char* name;
      std::size_t count;
      v1::ReasonCode reason;
      Result<std::string> (Planter::*make)(const Image&, const Picture&);
    };
    const std::vector<Kind> kinds = {
        {"broken", kBroken, v1::REASON_CODE_UNDECODABLE, &Planter::Broken},
        {"black", kBlack, v1::REASON_CODE_UNDEREXPOSED, &Planter::Black},
        {"white", kWhite, v1::REASON_CODE_OVEREXPOSED, &Planter::White},
        {"blurred", kBlurred, v1::REASON_CODE_BLURRED, &Planter::OutOfFocus},
        {"copy", kCopies, v1::REASON_CODE_EXACT_DUPLICATE, &Planter::Copy},
        {"encoded-again", with_near_duplicates ? kEncodedAgain : 0, v1::REASON_CODE_NEAR_DUPLICATE,
         &Planter::EncodedAgain},
    };
    std::vector<PlantedPicture> planted;
    for (const Kind& kind : kinds) {
      for (std::size_t i = 0; i < kind.count; ++i) {
        const Picture& original = originals_[next_++ % originals_.size()];
        const auto image = vision::Decode(original.payload);
        if (!image) return Prefixed(original.name + ": ", image.error());
        auto payload = (this->*kind.make)(*image, original);
        if (!payload) return payload.error();
        PlantedPicture picture;
        picture.reason = kind.reason;
        picture.picture.name = std::string("planted/") + kind.name + "-" + std::to_string(i + 1);
        picture.picture.payload = *std::move(payload);
        picture.picture.metadata = original.metadata;
        planted.push_back(std::move(picture));
      }
    }
    return planted;
  }

 private:
  // A transfer that broke off.
  Result<std::string> Broken(const Image& image, const Picture& /*original*/) {
    auto jpeg = vision::EncodeJpeg(image);
    if (!jpeg) return jpeg.error();
    jpeg->resize(jpeg->size() * 7 / 10);
    return jpeg;
  }
  Result<std::string> Black(const Image& image, const Picture& /*original*/) {
    return vision::EncodePng(Noise(image, 0, random_));
  }
  Result<std::string> White(const Image& image, const Picture& /*original*/) {
    return vision::EncodePng(Noise(image, 249, random_));
  }
  Result<std::string> OutOfFocus(const Image& image, const Picture& /*original*/) {
    return vision::EncodePng(
        Blurred(image, std::max(3.0, std::min(image.width, image.height) / 8.0)));
  }
  Result<std::string> Copy(const Image& /*image*/, const Picture& original) {
    return original.payload;
  }
  // Other bytes, the same pixels.
  Result<std::string> EncodedAgain(const Image& image, const Picture& /*original*/) {
    return vision::EncodePng(image);
  }

  const std::vector<Picture>& originals_;
  Random random_;
  std::size_t next_ = 0;
};

}  // namespace

Result<std::vector<PlantedPicture>> PlantPictures(const std::vector<Picture>& originals,
                                                  bool with_near_duplicates, std::uint64_t seed) {
  if (originals.empty()) {
    return Error{ErrorCode::kFailedPrecondition, "there is no good picture to plant others from"};
  }
  return Planter(originals, seed).Plant(with_near_duplicates);
}

std::string ReasonName(v1::ReasonCode reason) {
  std::string name = LowerEnum(v1::ReasonCode_Name(reason), "REASON_CODE_");
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

}  // namespace tidewheel::cli::demo
