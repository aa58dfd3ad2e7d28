// Any bytes as a picture that somebody sends: an error with words, or pixels within the limits that
// can be measured, hashed and made into what a model sees; the same twice.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "must.h"
#include "tidewheel/vision/decode.h"
#include "tidewheel/vision/difference_hash.h"
#include "tidewheel/vision/measure.h"
#include "tidewheel/vision/preprocess.h"
#include "tidewheel/vision/quality.h"

namespace {

using tidewheel::fuzz::Must;
namespace vision = tidewheel::vision;

// A header may promise much in few bytes: sizes small enough that an input takes milliseconds.
constexpr vision::DecodeLimits kLimits{.max_bytes = 4'000, .max_pixels = 40'000, .max_side = 1'000};

void LookAt(const vision::Image& image) {
  Must(vision::IsWellFormed(image));
  const vision::Measures measures = vision::Measure(image);
  for (const double value : vision::ToArray(measures)) Must(std::isfinite(value) && value >= 0);
  for (const auto& issue : vision::Check(measures, {})) Must(!issue.message.empty());
  const vision::Hash128 hash = vision::DifferenceHash(image);
  Must(vision::Hash128::FromHex(hash.Hex()).value() == hash);

  for (const auto resize : {vision::Resize::kStretch, vision::Resize::kFitPad}) {
    for (const int channels : {1, 3}) {
      const auto per_channel = static_cast<std::size_t>(channels);
      const vision::PreprocessSpec spec{.width = 9,
                                        .height = 7,
                                        .channels = channels,
                                        .resize = resize,
                                        .mean = std::vector<double>(per_channel, 0.5),
                                        .std = std::vector<double>(per_channel, 0.25)};
      std::vector<float> seen(spec.OutputSize());
      Must(vision::Preprocess(image, spec, seen).ok());
      for (const float value : seen) Must(value >= -2.0F && value <= 2.0F);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto header = vision::Probe(bytes);
  const auto image = vision::Decode(bytes, kLimits);
  if (!header) Must(!header.error().message.empty() && !image.ok());
  if (!image) {
    Must(!image.error().message.empty());
    return 0;
  }
  Must(header->width == image->width && header->height == image->height &&
       header->channels == image->channels);
  Must(image->width <= kLimits.max_side && image->height <= kLimits.max_side &&
       static_cast<std::int64_t>(image->width) * image->height <= kLimits.max_pixels);
  LookAt(*image);
  const auto again = vision::Decode(bytes, kLimits);
  Must(again.ok() && *again == *image);
  return 0;
}
