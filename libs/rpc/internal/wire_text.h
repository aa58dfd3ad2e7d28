#pragma once

// Inside of this library: the texts in the headers of gRPC over HTTP/2 (the protocol's document
// PROTOCOL-HTTP2 of gRPC).

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace tidewheel::rpc {

/// Of a header "grpc-timeout": at most eight digits and one of H, M, S, m, u, n. Nothing: it is not
/// such a text.
std::optional<std::chrono::nanoseconds> ParseGrpcTimeout(std::string_view text);

/// As a header "grpc-message" has it: bytes outside of printable ASCII and "%" as %XX.
std::string PercentEncoded(std::string_view text);

/// Whether a name of metadata is the transport's own and is not handed on.
bool IsReservedHeader(std::string_view name);

/// Whether gRPC takes it as metadata: a name of small letters, digits, "-", "_" and ".", with a
/// value of printable ASCII, or of base64 where the name ends in "-bin".
bool IsMetadata(std::string_view name, std::string_view value);

/// Of metadata whose name ends in "-bin": with or without padding. Nothing: it is not base64.
std::optional<std::string> FromBase64(std::string_view text);
/// Without padding.
std::string ToBase64(std::string_view bytes);

}  // namespace tidewheel::rpc
