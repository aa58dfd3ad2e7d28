#include "tidewheel/ml/package/file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

namespace tidewheel::ml {

Result<std::string> ReadPackageFile(const std::filesystem::path& path, std::size_t at_most_bytes) {
  std::error_code failure;
  const auto size = std::filesystem::file_size(path, failure);
  if (failure == std::errc::no_such_file_or_directory) {
    return Error{ErrorCode::kNotFound, "no file " + path.string()};
  }
  if (failure) return Error{ErrorCode::kInternal, path.string() + ": " + failure.message()};
  if (size > at_most_bytes) {
    return Error{ErrorCode::kResourceExhausted, path.string() + " has " + std::to_string(size) +
                                                    " bytes; the limit is " +
                                                    std::to_string(at_most_bytes)};
  }
  std::string bytes(static_cast<std::size_t>(size), '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file) return Error{ErrorCode::kInternal, "cannot read " + path.string()};
  return bytes;
}

Result<void> WritePackageFile(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) {
    return Error{ErrorCode::kInternal,
                 "cannot write " + path.string() + ": " + std::strerror(errno)};
  }
  return {};
}

}  // namespace tidewheel::ml
