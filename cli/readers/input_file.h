#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"

namespace tidewheel::cli {

/// A file read from front to back, unpacked on the way when it is gzip (RFC 1952). Not thread-safe.
class InputFile {
 public:
  /// kNotFound, kPermissionDenied, kInvalidArgument (no regular file).
  static Result<InputFile> Open(const std::filesystem::path& path);
  /// Bytes that outlive the file, as they stand (never unpacked); `name` takes the path's place.
  static InputFile Of(std::string_view bytes, std::filesystem::path name);

  InputFile(InputFile&&) noexcept;
  InputFile& operator=(InputFile&&) noexcept;
  ~InputFile();

  /// Fills `bytes` as far as the file goes; fewer only at the end. kDataLoss: the gzip stream is
  /// damaged or cut off.
  Result<std::size_t> Read(char* bytes, std::size_t count);

  const std::filesystem::path& path() const { return path_; }

 private:
  struct Stream;
  InputFile(std::filesystem::path path, std::unique_ptr<Stream> stream);

  std::filesystem::path path_;
  std::unique_ptr<Stream> stream_;
};

/// The whole file as it lies there (never unpacked). kOutOfRange, before reading, when it is larger
/// than `limit`; kInvalidArgument when it is no regular file.
Result<std::string> ReadWholeFile(const std::filesystem::path& path, std::uint64_t limit);

}  // namespace tidewheel::cli
