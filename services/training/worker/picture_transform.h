#pragma once

#include <cstdint>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/vision/image.h"

namespace tidewheel::training {

/// What a behaviour test does to a picture before the model sees it.
enum class PictureTransform { kBrighten, kDarken, kShift, kBlur, kNoise };

/// kInvalidArgument names the word and those there are.
Result<PictureTransform> ParsePictureTransform(std::string_view word);

/// A changed copy. `amount`: a share of full scale that is added or taken (brighten, darken) or the
/// standard deviation of normal noise (noise); pixels to the right and down, the edge repeated
/// (shift); the sigma of a Gaussian in pixels (blur). Values are clamped to 0..255. `seed` decides
/// the noise. An amount of 0 changes nothing.
vision::Image Transformed(const vision::Image& image, PictureTransform transform, double amount,
                          std::uint64_t seed);

/// A copy as another camera might have taken it at another moment: moved by up to a tenth of either
/// side (the edge repeated), contrast and brightness a little different, with some noise. Never
/// turned or mirrored: what a picture means may depend on that.
vision::Image Varied(const vision::Image& image, std::uint64_t seed);

}  // namespace tidewheel::training
