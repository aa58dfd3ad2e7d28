#pragma once

#include <cstdint>

#include "tidewheel/base/result.h"

namespace tidewheel::rpc {

/// How many items a list call gives: 0 means `by_default`, more than `at_most` means `at_most`.
/// kInvalidArgument: negative.
Result<int> PageSize(std::int32_t requested, int by_default = 100, int at_most = 1'000);

}  // namespace tidewheel::rpc
