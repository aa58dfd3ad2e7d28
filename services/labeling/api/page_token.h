#pragma once

#include <string>
#include <string_view>

#include "tidewheel/base/result.h"

namespace tidewheel::labeling {

/// An opaque token that continues a list after `cursor`, good for this `filter` alone.
std::string MakePageToken(std::string_view filter, std::string_view cursor);

/// The cursor inside; empty for an empty token. kInvalidArgument: not a token of this list with
/// this filter.
Result<std::string> ReadPageToken(std::string_view filter, std::string_view token);

}  // namespace tidewheel::labeling
