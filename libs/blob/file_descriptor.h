#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "tidewheel/base/result.h"

namespace tidewheel::blob {

/// What errno says about `what`: no space, over a quota or a size limit is kResourceExhausted,
/// ENOENT is kNotFound, EEXIST kAlreadyExists, EACCES kPermissionDenied, all else kInternal.
Error FileError(const std::string& what, int number);

/// An open file, closed with its owner.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  /// open(2) with O_CLOEXEC.
  static Result<FileDescriptor> Open(const std::filesystem::path& path, int flags,
                                     mode_t mode = 0600);

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

  /// Writes everything from where the file stands.
  Result<void> WriteAll(std::string_view bytes);

  /// Reads `size` bytes at `offset` into `to`; how many there were.
  Result<std::size_t> ReadAt(char* to, std::size_t size, std::uint64_t offset) const;

  /// Content and size are durable on return.
  Result<void> Sync() const;

 private:
  int fd_ = -1;
};

/// Makes the names in a folder durable.
Result<void> SyncFolder(const std::filesystem::path& folder);

}  // namespace tidewheel::blob
