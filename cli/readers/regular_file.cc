#include "tidewheel/cli/readers/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "tidewheel/cli/readers/text_rules.h"

namespace tidewheel::cli {

Error OfErrno(const std::filesystem::path& path, int code) {
  const std::string message = Printable(path.string()) + ": " + std::strerror(code);
  if (code == ENOENT || code == ENOTDIR) return {ErrorCode::kNotFound, message};
  if (code == EACCES || code == EPERM) return {ErrorCode::kPermissionDenied, message};
  return {ErrorCode::kInvalidArgument, message};
}

Result<RegularFile> RegularFile::Open(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO must not wait for somebody to write to it.
  RegularFile file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.descriptor_ < 0) return OfErrno(path, errno);
  struct stat status {};
  if (::fstat(file.descriptor_, &status) != 0) return OfErrno(path, errno);
  if (!S_ISREG(status.st_mode)) {
    return Error{ErrorCode::kInvalidArgument, Printable(path.string()) + ": not a regular file"};
  }
  file.size_ = static_cast<std::uint64_t>(status.st_size);
  return file;
}

RegularFile::RegularFile(RegularFile&& other) noexcept
    : descriptor_(other.Release()), size_(other.size_) {}

RegularFile& RegularFile::operator=(RegularFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  return *this;
}

RegularFile::~RegularFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int RegularFile::Release() { return std::exchange(descriptor_, -1); }

}  // namespace tidewheel::cli
