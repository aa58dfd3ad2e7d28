#pragma once

#include <cstdint>
#include <vector>

#include "tidewheel/vision/image.h"

namespace tidewheel::vision {

/// The area (box) filter in whole numbers: output pixel (x, y) is the average of the part of the
/// picture it covers, pixels that it covers in part counting for that part. Works in both
/// directions; nothing is rounded. Returns height x width x channels sums; each divided by
/// (image.width x image.height) is the average.
std::vector<std::uint64_t> BoxSums(const Image& image, int width, int height);

/// The same, rounded to eight bits.
Image BoxResize(const Image& image, int width, int height);

}  // namespace tidewheel::vision
