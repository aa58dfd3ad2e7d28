#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/vision/image.h"

namespace tidewheel::vision {

/// How a picture of any shape becomes width x height.
enum class Resize {
  kStretch,  ///< Each axis on its own; the aspect ratio is lost.
  kFitPad,   ///< The largest size of the same aspect ratio that fits, centred (the odd pixel right
             ///< and below), the rest black.
};

/// "stretch", "fit_pad": the words of a task's and a package's preprocessing.
std::string_view Name(Resize resize);
/// kInvalidArgument: another word.
Result<Resize> ParseResize(std::string_view name);

/// What a model wants to see. A part of the model package: training and serving run the same spec
/// through the same code.
struct PreprocessSpec {
  int width = 32;
  int height = 32;
  int channels = 3;  ///< 1: luma as ToGrey makes it; 3: RGB, a grey picture's value three times.
  Resize resize = Resize::kStretch;
  std::vector<double> mean = {0, 0, 0};  ///< Per channel, on values 0..1; subtracted first.
  std::vector<double> std = {1, 1, 1};   ///< Per channel, on values 0..1; divided by.

  /// kInvalidArgument, all problems in one message: sizes not in 1..4096, channels not 1 or 3,
  /// means or deviations missing, not finite or not positive.
  Result<void> Validate() const;

  /// channels x height x width.
  std::size_t OutputSize() const {
    return static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
           static_cast<std::size_t>(channels);
  }

  friend bool operator==(const PreprocessSpec&, const PreprocessSpec&) = default;
};

/// Writes channels x height x width floats (CHW): the area filter in whole numbers, then, in
/// double, average / 255, minus the mean, over the deviation, rounded to float once. Bit-equal on
/// every machine and at every optimisation level. kInvalidArgument: an invalid spec, a picture that
/// is not well formed, `out_chw` of another size. Reentrant.
Result<void> Preprocess(const Image& image, const PreprocessSpec& spec, std::span<float> out_chw);

/// The way back: a picture of the spec's size, from which Preprocess makes the values again,
/// exactly where they came from a picture of 8 bits and that size, else to half a step of 8 bits.
/// What is darker than black or brighter than white becomes that. kInvalidArgument: an invalid
/// spec, values of another number, or what is no number. Reentrant.
Result<Image> Restore(std::span<const float> chw, const PreprocessSpec& spec);

}  // namespace tidewheel::vision
