#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"

namespace tidewheel::rpc {

/// How many items a list call gives: 0 means `by_default`, more than `at_most` means `at_most`.
/// kInvalidArgument: negative.
Result<int> PageSize(std::int32_t requested, int by_default = 100, int at_most = 1'000);

/// What a list call asks for.
struct Page {
  std::string cursor;  // Of the last item of the page before; empty: the first page.
  std::size_t size = 0;
};

/// Reads the `page_size` and `page_token` of a request whose rows are decided by `filter` (not the
/// page size). kInvalidArgument: a negative size, or a token of another filter.
Result<Page> ReadPage(std::int32_t page_size, const std::string& page_token,
                      std::string_view filter);

/// What continues the list after the item that `cursor` names.
std::string NextPageToken(std::string_view filter, const std::string& cursor);

}  // namespace tidewheel::rpc
