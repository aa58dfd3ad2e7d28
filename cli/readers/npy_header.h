#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::cli {

enum class NpyType {
  kBool,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kFloat16,
  kFloat32,
  kFloat64,
};

/// "float32" and so on, as NumPy says it.
std::string_view Name(NpyType type);
/// Bytes of one value.
std::size_t SizeOf(NpyType type);

/// What an array file says of itself.
struct NpyHeader {
  NpyType type = NpyType::kFloat64;
  bool big_endian = false;     // False where values are single bytes.
  bool fortran_order = false;  // The first index runs fastest.
  std::vector<std::uint64_t> shape;
  std::uint64_t count = 0;      // Product of the shape; 1 for a scalar.
  std::size_t data_offset = 0;  // Where the values begin in the file.

  /// "(3, 4)".
  std::string ShapeText() const;
};

/// Reads the header of NumPy's format, versions 1.0 to 3.0, from the beginning of a file of
/// `file_bytes` bytes, of which `bytes` holds at least the header; checks that the file has exactly
/// the values it promises. Types: those of NpyType, little and big endian. Bounds: a header of 64
/// KiB, 32 dimensions. kInvalidArgument names the field and the limit; kUnimplemented: a version or
/// a type (objects, text, complex, structures) that is not read; kDataLoss: cut off, or bytes left
/// over.
Result<NpyHeader> ReadNpyHeader(std::span<const std::byte> bytes, std::uint64_t file_bytes);

}  // namespace tidewheel::cli
