#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/oip_http/http_message.h"
#include "tidewheel/net/aligned_bytes.h"

namespace tidewheel::inference::http {

enum class Coding { kIdentity, kGzip, kDeflate };

/// Of a Content-Encoding. kUnimplemented: another one, or several.
Result<Coding> ParseCoding(std::string_view text);
/// The best that an Accept-Encoding allows.
Coding ChooseCoding(std::string_view accept_encoding);
/// "gzip", "deflate".
std::string_view Name(Coding coding);

/// Appends what `packed` holds; errors as of net::Inflate.
Result<void> Unpack(Coding coding, std::string_view packed, std::size_t most_bytes,
                    net::AlignedBytes* unpacked);

/// The whole answer in one piece, packed at the lowest level.
std::string Pack(Coding coding, const Response& response);

}  // namespace tidewheel::inference::http
