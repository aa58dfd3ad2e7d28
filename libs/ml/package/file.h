#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"

namespace tidewheel::ml {

/// The bytes of a package's file. kNotFound: no such file; kResourceExhausted: more than
/// `at_most_bytes`.
Result<std::string> ReadPackageFile(const std::filesystem::path& path, std::size_t at_most_bytes);

/// Replaces the file. kInternal: the disk refused.
Result<void> WritePackageFile(const std::filesystem::path& path, std::string_view bytes);

}  // namespace tidewheel::ml
