#pragma once

#include <filesystem>
#include <memory>

#include "tidewheel/base/result.h"
#include "tidewheel/cli/readers/picture_source.h"

namespace tidewheel::cli {

/// The pictures of a folder and the folders in it, in the order of their names, hidden ones left
/// out; links to folders are not followed. Named `<folder>/<path in it>`, so that it does not
/// matter from where the folder was named.
Result<std::unique_ptr<PictureSource>> OpenFolderPictures(const std::filesystem::path& path,
                                                          const ReadOptions& options);

/// One file, named `<folder it is in>/<file>`: as a push of that folder names it.
std::unique_ptr<PictureSource> OpenPictureFile(const std::filesystem::path& path,
                                               const ReadOptions& options);

}  // namespace tidewheel::cli
