#include "tidewheel/rpc/page.h"

#include <algorithm>
#include <utility>

#include "tidewheel/base/page_token.h"

namespace tidewheel::rpc {

Result<int> PageSize(std::int32_t requested, int by_default, int at_most) {
  if (requested < 0) {
    return Error{ErrorCode::kInvalidArgument,
                 "page size must not be negative, not " + std::to_string(requested)};
  }
  return requested == 0 ? by_default : std::min<int>(requested, at_most);
}

Result<Page> ReadPage(std::int32_t page_size, const std::string& page_token,
                      std::string_view filter) {
  const auto size = PageSize(page_size);
  if (!size) return size.error();
  auto keys = DecodePageToken(filter, page_token, 1);
  if (!keys) return keys.error();
  return Page{.cursor = keys->empty() ? std::string() : std::move(keys->front()),
              .size = static_cast<std::size_t>(*size)};
}

std::string NextPageToken(std::string_view filter, const std::string& cursor) {
  return EncodePageToken(filter, {cursor});
}

}  // namespace tidewheel::rpc
