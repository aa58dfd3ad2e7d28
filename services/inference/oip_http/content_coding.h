#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/oip_http/http_message.h"

namespace tidewheel::inference::http {

enum class Coding { kIdentity, kGzip, kDeflate };

/// Of a Content-Encoding. kUnimplemented: another one, or several.
Result<Coding> ParseCoding(std::string_view text);
/// The best that an Accept-Encoding allows.
Coding ChooseCoding(std::string_view accept_encoding);
/// "gzip", "deflate".
std::string_view Name(Coding coding);

/// Appends what `packed` holds. "deflate" is the zlib format, or the raw one that some clients
/// send. kInvalidArgument: broken, cut short, or followed by something. kOutOfRange: more than
/// `most_bytes`.
Result<void> Unpack(Coding coding, std::string_view packed, std::size_t most_bytes, Body* unpacked);

/// The whole answer in one piece, packed at the lowest level.
std::string Pack(Coding coding, const Response& response);

}  // namespace tidewheel::inference::http
