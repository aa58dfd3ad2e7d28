#include "tidewheel/rpc/page.h"

#include <algorithm>
#include <string>

namespace tidewheel::rpc {

Result<int> PageSize(std::int32_t requested, int by_default, int at_most) {
  if (requested < 0) {
    return Error{ErrorCode::kInvalidArgument,
                 "page size must not be negative, not " + std::to_string(requested)};
  }
  return requested == 0 ? by_default : std::min<int>(requested, at_most);
}

}  // namespace tidewheel::rpc
