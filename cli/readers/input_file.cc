#include "tidewheel/cli/readers/input_file.h"

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "tidewheel/cli/readers/regular_file.h"
#include "tidewheel/cli/readers/text_rules.h"

namespace tidewheel::cli {
struct InputFile::Stream {
  explicit Stream(gzFile opened) : file(opened) {}
  explicit Stream(std::string_view given) : bytes(given) {}
  ~Stream() {
    if (file != nullptr) gzclose(file);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  gzFile file = nullptr;
  std::string_view bytes;  // What is left of them, without a file.
};

InputFile::InputFile(std::filesystem::path path, std::unique_ptr<Stream> stream)
    : path_(std::move(path)), stream_(std::move(stream)) {}
InputFile::InputFile(InputFile&&) noexcept = default;
InputFile& InputFile::operator=(InputFile&&) noexcept = default;
InputFile::~InputFile() = default;

Result<InputFile> InputFile::Open(const std::filesystem::path& path) {
  auto opened = RegularFile::Open(path);
  if (!opened) return opened.error();
  // zlib passes through what does not begin as gzip does.
  gzFile file = gzdopen(opened->descriptor(), "rb");
  if (file == nullptr) {
    return Error{ErrorCode::kResourceExhausted, Printable(path.string()) + ": no memory to read"};
  }
  (void)opened->Release();  // zlib's from here on.
  gzbuffer(file, 256 * 1024);
  return InputFile(path, std::make_unique<Stream>(file));
}

InputFile InputFile::Of(std::string_view bytes, std::filesystem::path name) {
  return InputFile(std::move(name), std::make_unique<Stream>(bytes));
}

Result<std::size_t> InputFile::Read(char* bytes, std::size_t count) {
  if (stream_->file == nullptr) {
    const std::size_t taken = stream_->bytes.copy(bytes, count);
    stream_->bytes.remove_prefix(taken);
    return taken;
  }
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
  const auto file = RegularFile::Open(path);
  if (!file) return file.error();
  if (file->size() > limit) {
    return Error{ErrorCode::kOutOfRange, OverLimit(file->size(), limit)};
  }
  std::string bytes(file->size(), '\0');
  std::size_t done = 0;
  // One byte more than it should have: the file may grow while it is read.
  char beyond = 0;
  while (true) {
    const bool full = done == bytes.size();
    const ssize_t read = full
                             ? ::read(file->descriptor(), &beyond, 1)
                             : ::read(file->descriptor(), bytes.data() + done, bytes.size() - done);
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
