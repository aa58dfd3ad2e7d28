#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "tidewheel/base/result.h"

namespace tidewheel::inference {

/// Writes a zip archive of these files.
Result<void> WriteArchive(const std::filesystem::path& path,
                          const std::map<std::string, std::string>& files);
/// Replaces a text in every file of an archive, where it is.
Result<void> ReplaceInArchive(const std::filesystem::path& path, const std::string& text,
                              const std::string& by);
/// An AOTInductor package around the machine code of this folder: input INPUT__0, a row of floats;
/// output OUTPUT__0, twice of it.
Result<void> WritePackage(const std::filesystem::path& path);

}  // namespace tidewheel::inference
