#include "tidewheel/cli/readers/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tidewheel/cli/readers/text_rules.h"

namespace tidewheel::cli {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Error OfErrno(const std::filesystem::path& path, int code) {
  const std::string message = Printable(path.string()) + ": " + std::strerror(code);
  if (code == ENOENT || code == ENOTDIR) return {ErrorCode::kNotFound, message};
  if (code == EACCES || code == EPERM) return {ErrorCode::kPermissionDenied, message};
  return {ErrorCode::kInvalidArgument, message};
}

// O_NONBLOCK: opening a FIFO must not wait for somebody to write to it.
Result<int> OpenRegular(const std::filesystem::path& path, std::uint64_t* size) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return OfErrno(path, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return OfErrno(path, errno);
  if (!S_ISREG(status.st_mode)) {
    return Error{ErrorCode::kInvalidArgument, Printable(path.string()) + ": not a regular file"};
  }
  *size = static_cast<std::uint64_t>(status.st_size);
  return file.Release();
}

}  // namespace

struct InputFile::Stream {
  explicit Stream(gzFile opened) : file(opened) {}
  ~Stream() { gzclose(file); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  gzFile file;
};

InputFile::InputFile(std::filesystem::path path, std::unique_ptr<Stream> stream)
    : path_(std::move(path)), stream_(std::move(stream)) {}
InputFile::InputFile(InputFile&&) noexcept = default;
InputFile& InputFile::operator=(InputFile&&) noexcept = default;
InputFile::~InputFile() = default;

Result<InputFile> InputFile::Open(const std::filesystem::path& path) {
  std::uint64_t size = 0;
  const auto opened = OpenRegular(path, &size);
  if (!opened) return opened.error();
  // zlib passes through what does not begin as gzip does.
  gzFile file = gzdopen(*opened, "rb");
  if (file == nullptr) {
    ::close(*opened);
    return Error{ErrorCode::kResourceExhausted, Printable(path.string()) + ": no memory to read"};
  }
  gzbuffer(file, 256 * 1024);
  return InputFile(path, std::make_unique<Stream>(file));
}

Result<std::size_t> InputFile::Read(char* bytes, std::size_t count) {
  std::size_t done = 0;
  while (done < count) {
    const auto wanted = static_cast<unsigned>(std::min<std::size_t>(count - done, 1u << 30));
    const int read = gzread(stream_->file, bytes + done, wanted);
    if (read > 0) done += static_cast<std::size_t>(read);
    if (read >= 0 && static_cast<unsigned>(read) == wanted) continue;
    int code = Z_OK;
    const char* message = gzerror(stream_->file, &code);
    if (read < 0 || code == Z_BUF_ERROR || code == Z_DATA_ERROR) {
      return Error{ErrorCode::kDataLoss,
                   Printable(path_.string()) + ": " +
                       (code == Z_BUF_ERROR ? "the gzip stream is cut off"
                                            : std::string("damaged: ") + message)};
    }
    break;
  }
  return done;
}

Result<std::string> ReadWholeFile(const std::filesystem::path& path, std::uint64_t limit) {
  std::uint64_t size = 0;
  const auto opened = OpenRegular(path, &size);
  if (!opened) return opened.error();
  const Descriptor file(*opened);
  if (size > limit) {
    return Error{ErrorCode::kOutOfRange, OverLimit(size, limit)};
  }
  std::string bytes(size, '\0');
  std::size_t done = 0;
  // One byte more than it should have: the file may grow while it is read.
  char beyond = 0;
  while (true) {
    const bool full = done == bytes.size();
    const ssize_t read = full ? ::read(file.get(), &beyond, 1)
                              : ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) return OfErrno(path, errno);
    if (read == 0) break;
    if (full) {
      return Error{ErrorCode::kAborted, Printable(path.string()) + ": grew while it was read"};
    }
    done += static_cast<std::size_t>(read);
  }
  bytes.resize(done);
  return bytes;
}

}  // namespace tidewheel::cli
