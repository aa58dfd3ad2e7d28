#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/vision/image.h"

namespace tidewheel::cli::drill {

/// The world that a picture comes from.
enum class Condition {
  kOld,     ///< As the first model knew it.
  kTurned,  ///< What stood lies: the top is at the left.
  kFaulty,  ///< Dark or out of focus.
};
std::string_view Name(Condition condition);

/// A quarter turn against the clock: the top comes to the left, as real horizontal lights have it.
vision::Image TurnedLeft(const vision::Image& image);
/// Hardly any light reaches the sensor: what is left is its noise, drawn from `seed`.
vision::Image Darkened(const vision::Image& image, std::uint64_t seed);
/// Far out of focus.
vision::Image Blurred(const vision::Image& image);

/// The encoded picture as it would come in this condition; decoded, changed, encoded again. Depends
/// on the bytes and the seed alone. kInvalidArgument: no picture.
Result<std::string> PayloadIn(Condition condition, std::string_view payload, std::uint64_t seed);

}  // namespace tidewheel::cli::drill
