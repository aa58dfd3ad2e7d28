#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/cli/readers/input_file.h"
#include "tidewheel/cli/readers/picture_source.h"

namespace tidewheel::cli {

/// Whether the file, unpacked if gzip, begins as an IDX file of pictures (unsigned bytes, three
/// dimensions).
bool IsIdxPictures(const std::filesystem::path& path);

/// Pictures of an IDX file (LeCun's format), gzip or not: each becomes a PGM payload named
/// `<file>#<index>`. kInvalidArgument: not such a file, or sides over 16,384 pixels. A file that
/// ends early is kDataLoss at the picture where it ends, bytes after the last picture as well.
Result<std::unique_ptr<PictureSource>> OpenIdxPictures(const std::filesystem::path& path,
                                                       const ReadOptions& options);

/// What the picture at `index` is called.
std::string IdxPictureName(const std::filesystem::path& path, std::uint64_t index);

/// Labels of an IDX file (unsigned bytes, one dimension), one after the other.
class IdxLabels {
 public:
  static Result<IdxLabels> Open(const std::filesystem::path& path);

  std::uint64_t size() const { return size_; }
  /// None at the end; kDataLoss when the file ends early or goes on.
  Result<std::optional<std::uint8_t>> Next();

 private:
  IdxLabels(InputFile file, std::uint64_t size);

  InputFile file_;
  std::uint64_t size_;
  std::uint64_t next_ = 0;
  std::vector<char> buffer_;
  std::size_t position_ = 0;
};

}  // namespace tidewheel::cli
