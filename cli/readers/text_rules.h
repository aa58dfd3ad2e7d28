#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidewheel::cli {

/// Ingestion's bound on names, in bytes.
inline constexpr std::size_t kMaxNameBytes = 1024;

/// Whether the bytes are UTF-8 as RFC 3629 has it (no surrogates, no overlong forms).
bool IsUtf8(std::string_view text);

/// Why a name cannot be used; empty when it can.
std::string ProblemOfName(std::string_view name);

/// Names may come from hostile files: control characters and broken UTF-8 become `\xNN`, what is
/// longer than `at_most` bytes is cut.
std::string Printable(std::string_view text, std::size_t at_most = 200);

/// "3.0 MiB" and so on.
std::string FormatBytes(std::uint64_t bytes);

/// "SIZE is over the limit of LIMIT".
std::string OverLimit(std::uint64_t bytes, std::uint64_t limit);

/// Whether the extension is one of a picture (jpg, jpeg, png, ppm, pgm, pnm, webp) or there is
/// none.
bool LooksLikePicture(std::string_view path);

/// "training", "validation" or "test", by a component of the path or, for the file's own name, by
/// the word it begins with ("train-images...", "t10k-..."). None when no component tells.
std::optional<std::string> SplitOfPath(std::string_view path);

}  // namespace tidewheel::cli
