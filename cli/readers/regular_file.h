#pragma once

#include <cstdint>
#include <filesystem>

#include "tidewheel/base/result.h"

namespace tidewheel::cli {

/// An open file that is a file: no folder, no device, no pipe that would wait for a writer.
class RegularFile {
 public:
  /// kNotFound, kPermissionDenied, kInvalidArgument (no regular file).
  static Result<RegularFile> Open(const std::filesystem::path& path);

  RegularFile(RegularFile&& other) noexcept;
  RegularFile& operator=(RegularFile&& other) noexcept;
  ~RegularFile();

  int descriptor() const { return descriptor_; }
  /// When it was opened.
  std::uint64_t size() const { return size_; }
  /// Whoever takes the descriptor closes it.
  int Release();

 private:
  explicit RegularFile(int descriptor) : descriptor_(descriptor) {}

  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

/// What the system said of a file: `code` is an errno.
Error OfErrno(const std::filesystem::path& path, int code);

}  // namespace tidewheel::cli
