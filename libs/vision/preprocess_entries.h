#pragma once

#include <map>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/vision/preprocess.h"

namespace tidewheel::vision {

/// A spec as a model package keeps it: keys "width", "height", "channels", "resize", "mean", "std"
/// (numbers parted by commas, each the shortest text that reads back bit-equal).
std::map<std::string, std::string> ToEntries(const PreprocessSpec& spec);

/// kInvalidArgument: an unknown or missing key, a value that is none, or a spec that Validate
/// refuses.
Result<PreprocessSpec> FromEntries(const std::map<std::string, std::string>& entries);

}  // namespace tidewheel::vision
