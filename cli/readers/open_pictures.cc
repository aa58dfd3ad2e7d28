#include "tidewheel/cli/readers/open_pictures.h"

#include "tidewheel/cli/readers/csv_index.h"
#include "tidewheel/cli/readers/folder_reader.h"
#include "tidewheel/cli/readers/idx_reader.h"
#include "tidewheel/cli/readers/text_rules.h"
#include "tidewheel/cli/readers/zip_reader.h"

namespace tidewheel::cli {

Result<std::unique_ptr<PictureSource>> OpenPictures(
    const std::filesystem::path& path, const std::optional<std::filesystem::path>& archive,
    const ReadOptions& options) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    return Error{ErrorCode::kNotFound, Printable(path.string()) + ": no such file or folder"};
  }
  if (std::filesystem::is_directory(status)) return OpenFolderPictures(path, options);
  if (path.extension() == ".csv") return OpenCsvIndex(path, archive, options);
  if (IsZip(path)) return OpenZipPictures(path, options);
  if (IsIdxPictures(path)) return OpenIdxPictures(path, options);
  return OpenPictureFile(path, options);
}

}  // namespace tidewheel::cli
