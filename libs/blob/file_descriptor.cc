#include "tidewheel/blob/file_descriptor.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tidewheel::blob {

Error FileError(const std::string& what, int number) {
  const std::string message = what + ": " + std::strerror(number);
  switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return {ErrorCode::kResourceExhausted, message};
    case ENOENT:
      return {ErrorCode::kNotFound, message};
    case EEXIST:
      return {ErrorCode::kAlreadyExists, message};
    case EACCES:
    case EPERM:
    case EROFS:
      return {ErrorCode::kPermissionDenied, message};
    default:
      return {ErrorCode::kInternal, message};
  }
}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

Result<FileDescriptor> FileDescriptor::Open(const std::filesystem::path& path, int flags,
                                            mode_t mode) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) return FileError("opening " + path.string(), errno);
  return FileDescriptor(fd);
}

Result<void> FileDescriptor::WriteAll(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return FileError("writing a payload", written < 0 ? errno : ENOSPC);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<std::size_t> FileDescriptor::ReadAt(char* to, std::size_t size, std::uint64_t offset) const {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = pread(fd_, to + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("reading a payload", errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Result<void> FileDescriptor::Sync() const {
  if (fdatasync(fd_) != 0) return FileError("making a payload durable", errno);
  return {};
}

Result<void> SyncFolder(const std::filesystem::path& folder) {
  const auto opened = FileDescriptor::Open(folder, O_RDONLY | O_DIRECTORY);
  if (!opened) return opened.error();
  if (fsync(opened->get()) != 0) return FileError("making " + folder.string() + " durable", errno);
  return {};
}

}  // namespace tidewheel::blob
