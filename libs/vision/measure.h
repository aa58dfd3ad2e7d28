#pragma once

#include <array>
#include <string_view>

#include "tidewheel/vision/image.h"

namespace tidewheel::vision {

/// What a picture looks like, in numbers that monitoring follows as named features. Luminance is
/// the luma of ToGrey, on 0..1.
struct Measures {
  double width = 0;               ///< Pixels.
  double height = 0;              ///< Pixels.
  double aspect_ratio = 0;        ///< width / height.
  double luminance_mean = 0;      ///< 0 black .. 1 white.
  double luminance_std = 0;       ///< Over the picture's pixels; 0..0.5.
  double dark_share = 0;          ///< Share of pixels with luminance <= 16/255.
  double bright_share = 0;        ///< Share of pixels with luminance >= 239/255.
  double contrast = 0;            ///< 95th minus 5th percentile of luminance (nearest rank), 0..1.
  double sharpness = 0;           ///< Variance of the Laplacian, grey levels (0..255) squared.
  double relative_sharpness = 0;  ///< Sharpness of the picture as a whole: 0 smooth .. 20 noise.
  double saturation =
      0;  ///< Mean over pixels of (max - min) / max of red, green and blue; 0 for grey pictures.
  double colourfulness = 0;  ///< Hasler and Suesstrunk (2003), on 0..1 values; 0 for grey pictures.

  friend bool operator==(const Measures&, const Measures&) = default;
};

/// The measures' names in their one order. Names are never changed or reordered; new ones are added
/// at the end.
inline constexpr std::array<std::string_view, 12> kMeasureNames = {
    "width",      "height",       "aspect_ratio", "luminance_mean", "luminance_std",
    "dark_share", "bright_share", "contrast",     "sharpness",      "relative_sharpness",
    "saturation", "colourfulness"};

/// The values in the order of kMeasureNames.
std::array<double, kMeasureNames.size()> ToArray(const Measures& measures);

/// Pictures with a longer side are reduced to this side before `sharpness` is taken, so that a
/// large and a small copy of one picture are about equally sharp. Smaller ones are not enlarged.
inline constexpr int kSharpnessSide = 256;
/// The same for `relative_sharpness`, by the shorter side: what is smooth even at this size is
/// blurred, whatever its size was.
inline constexpr int kRelativeSharpnessSide = 20;
/// Grey levels squared that `relative_sharpness` leaves out: what rounding to eight bits (1.7) and
/// a JPEG's quantisation leave of a flat surface.
inline constexpr double kSharpnessFloor = 8;

/// Measures a well-formed picture; all zero for one that is not. Both sharpnesses are the variance
/// of the 4-neighbour Laplacian over the inner pixels of the reduced grey picture (box filter), 0
/// when there are none; the relative one is what exceeds kSharpnessFloor, over the variance of
/// luminance at its size (0 if flat), and so does not depend on contrast.
/// The same numbers on every machine.
Measures Measure(const Image& image);

}  // namespace tidewheel::vision
