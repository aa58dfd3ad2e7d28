#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/cli/readers/npy_header.h"

namespace tidewheel::cli {

/// Numbers of an array file, row by row (the last index runs fastest). Keeps alive what `values`
/// points to: the file's own memory where its layout is the wanted one, else a copy.
template <typename T>
struct NpyNumbers {
  std::span<const T> values;
  std::vector<std::uint64_t> shape;
  bool copied = false;
  std::shared_ptr<const void> owner;

  /// Two dimensions as rows and columns; one as a single column. Empty for any other number.
  MatrixView<T> Matrix() const {
    if (shape.empty() || shape.size() > 2) return {};
    return {values, static_cast<std::size_t>(shape[0]),
            shape.size() == 2 ? static_cast<std::size_t>(shape[1]) : 1};
  }
};

struct NpyLimits {
  /// Of a copy in another type or order. The file's own memory counts for nothing.
  std::uint64_t copied_bytes = std::uint64_t{16} << 30;
};

/// NumPy's .npy file (versions 1.0 to 3.0; types and bounds: ReadNpyHeader), mapped into memory. A
/// file that somebody cuts while it is mapped ends the process (SIGBUS). Safe from many threads.
class NpyFile {
 public:
  /// kNotFound, kPermissionDenied, kInvalidArgument (no regular file), or ReadNpyHeader's errors;
  /// messages begin with the path.
  static Result<NpyFile> Open(const std::filesystem::path& path, const NpyLimits& limits = {});
  /// The same for bytes in memory that outlive what is read of them; `name` is for messages.
  static Result<NpyFile> Of(std::span<const std::byte> bytes, std::string name,
                            const NpyLimits& limits = {});

  const NpyHeader& header() const { return header_; }

  /// As float. float32 in native order is not copied. kInvalidArgument: int32 and up, float64,
  /// whose values need not have a float.
  Result<NpyNumbers<float>> Floats() const;
  /// As double, any type. float64 in native order is not copied. kInvalidArgument names the first
  /// 64-bit integer that has no exact double.
  Result<NpyNumbers<double>> Doubles() const;
  /// As int32: classes and indices. int32 in native order is not copied; floats are taken where
  /// they are whole. kInvalidArgument names the first value that has no int32.
  Result<NpyNumbers<std::int32_t>> Integers() const;
  /// All three also kResourceExhausted: a copy over the limit.

 private:
  NpyFile(std::string name, NpyHeader header, std::span<const std::byte> data,
          std::shared_ptr<const void> owner, const NpyLimits& limits);

  template <typename T>
  Result<NpyNumbers<T>> As(NpyType native) const;

  std::string name_;
  NpyHeader header_;
  std::span<const std::byte> data_;
  std::shared_ptr<const void> owner_;  // Of the mapping; none for bytes of somebody else.
  NpyLimits limits_;
};

}  // namespace tidewheel::cli
