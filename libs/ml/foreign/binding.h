#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::ml {

/// The N of "anything__N".
std::optional<std::size_t> PlaceOf(std::string_view name);

/// places[i]: which of the model's own is the i-th that the caller names. `own` may be fewer than
/// there are (a list without an end) when `open`. kInvalidArgument names what does not fit.
Result<std::vector<std::size_t>> BindNames(std::string_view what,
                                           const std::vector<std::string>& own, bool open,
                                           const std::vector<std::string>& names);

/// How many values a flattened structure has, as packages print it: a JSON tree whose leaves have
/// no type.
std::size_t CountLeaves(std::string_view tree);

/// The line of a long message that says what happened: LibTorch prints tracebacks of the model's
/// code around it.
std::string PointOf(std::string_view message);

}  // namespace tidewheel::ml
