#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "tidewheel/base/result.h"
#include "tidewheel/cli/readers/picture_source.h"

namespace tidewheel::cli {

/// Whatever `path` is: a folder, a ZIP archive, an IDX file of pictures (gzip or not), a CSV index
/// (by its extension), or one picture. `archive` is where a CSV index finds its files. kNotFound:
/// there is no such path.
Result<std::unique_ptr<PictureSource>> OpenPictures(
    const std::filesystem::path& path, const std::optional<std::filesystem::path>& archive,
    const ReadOptions& options);

}  // namespace tidewheel::cli
