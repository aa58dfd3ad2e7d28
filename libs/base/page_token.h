#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel {

/// Where the next page of a keyset listing starts, as an opaque base64url text. `query` is
/// everything that decides which rows are listed and in what order (task, filter, order, not the
/// page size): a token of another query is refused.
std::string EncodePageToken(std::string_view query, const std::vector<std::string>& keys);

/// The keys given to EncodePageToken; empty for an empty token, the first page. kInvalidArgument:
/// not a token, or one of another query, or with another number of keys.
Result<std::vector<std::string>> DecodePageToken(std::string_view query, std::string_view token,
                                                 std::size_t keys);

}  // namespace tidewheel
