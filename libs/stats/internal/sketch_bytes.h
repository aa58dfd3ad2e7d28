#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"

namespace tidewheel::stats::internal {

/// Writes the bytes form all summaries share: four letters that name the kind, a version, the
/// fields in little endian whatever the machine, and 8 bytes of StableHash over all before them.
class SketchWriter {
 public:
  SketchWriter(std::string_view kind, std::uint8_t version);

  void U8(std::uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
  void U32(std::uint32_t value) { Little(value, 4); }
  void U64(std::uint64_t value) { Little(value, 8); }
  void F64(double value);
  /// Seven bits a byte, lowest first: small counts take one byte.
  void Varint(std::uint64_t value);
  void Text(std::string_view text);

  std::string Seal() &&;

 private:
  void Little(std::uint64_t value, int bytes);

  std::string bytes_;
};

/// Reads what SketchWriter wrote. The first thing that is wrong sticks: every read after it gives
/// 0, and Finish() tells it. Nothing is allocated that the bytes at hand do not pay for.
class SketchReader {
 public:
  /// `name` begins every error message. Foreign, cut, longer than `at_most` or damaged bytes and
  /// other versions are what Finish() tells.
  SketchReader(std::string_view name, std::string_view bytes, std::string_view kind,
               std::uint8_t version, std::size_t at_most);

  std::uint8_t U8() { return static_cast<std::uint8_t>(Little(1)); }
  std::uint32_t U32() { return static_cast<std::uint32_t>(Little(4)); }
  std::uint64_t U64() { return Little(8); }
  double F64();
  std::uint64_t Varint();
  /// A count, which is added to `total`; beyond `at_most` together they are wrong, and it gives 0.
  std::uint64_t Count(std::uint64_t at_most, std::uint64_t& total);
  std::string_view Text(std::size_t at_most);
  /// A number of entries of at least `bytes_each` bytes: more than `at_most`, or more than the rest
  /// of the bytes can hold, is wrong and gives 0.
  std::size_t Entries(std::string_view what, std::size_t at_most, std::size_t bytes_each);

  bool ok() const { return wrong_.empty(); }
  /// Something in the fields cannot be; the first reason counts.
  void Fail(std::string_view reason);
  void Require(bool fact, std::string_view reason) {
    if (!fact) Fail(reason);
  }
  /// kInvalidArgument: what was wrong first, or bytes that are left over.
  Result<void> Finish();

 private:
  void Open(std::string_view bytes, std::string_view kind, std::uint8_t version);
  std::uint64_t Little(std::size_t bytes);

  std::string_view name_;
  std::string_view rest_;
  std::string wrong_;
};

}  // namespace tidewheel::stats::internal
