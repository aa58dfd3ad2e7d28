#include "tidewheel/ml/foreign/foreign_model.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "tidewheel/ml/foreign/internal/loaders.h"

namespace tidewheel::ml {

Result<void> ReadAt(int descriptor, std::size_t position, char* bytes, std::size_t count) {
  while (count > 0) {
    const ssize_t got = pread(descriptor, bytes, count, static_cast<off_t>(position));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return Error{ErrorCode::kDataLoss,
                   "the file cannot be read" + (got < 0 ? std::string(": ") + std::strerror(errno)
                                                        : std::string(" to its end"))};
    }
    bytes += got;
    position += static_cast<std::size_t>(got);
    count -= static_cast<std::size_t>(got);
  }
  return {};
}

Result<std::size_t> SizeOf(int descriptor) {
  struct stat state {};
  if (fstat(descriptor, &state) != 0 || !S_ISREG(state.st_mode)) {
    return Error{ErrorCode::kInvalidArgument, "it is no regular file"};
  }
  return static_cast<std::size_t>(state.st_size);
}

Result<std::unique_ptr<ForeignModel>> ForeignModel::Load(int descriptor,
                                                         const ForeignOptions& options) {
  const auto size = SizeOf(descriptor);
  if (!size) return size.error();
  const std::string kind = options.package ? "an AOTInductor package" : "TorchScript";
  std::array<char, 4> magic{};
  if (*size < magic.size()) {
    return Error{ErrorCode::kInvalidArgument,
                 "the file is not " + kind + ": it has " + std::to_string(*size) + " bytes"};
  }
  if (const auto read = ReadAt(descriptor, 0, magic.data(), magic.size()); !read) {
    return read.error();
  }
  // LibTorch's own words for it are about the end of a central directory.
  if (std::string_view(magic.data(), magic.size()) != "PK\3\4") {
    return Error{ErrorCode::kInvalidArgument,
                 "the file is not " + kind + ": it does not begin as a zip archive does"};
  }
  if (options.gradients && options.package) {
    return Error{ErrorCode::kUnimplemented, "a compiled package has no gradients"};
  }
  if (options.gradients) return LoadGradients(descriptor, options);
  return options.package ? LoadPackage(descriptor, options) : LoadScript(descriptor, options);
}

}  // namespace tidewheel::ml
