#include "tidewheel/stats/internal/sketch_bytes.h"

#include <bit>

#include "tidewheel/base/random.h"

namespace tidewheel::stats::internal {
namespace {

constexpr std::size_t kHeaderBytes = 5;  // Kind and version.
constexpr std::size_t kSealBytes = 8;

}  // namespace

SketchWriter::SketchWriter(std::string_view kind, std::uint8_t version) : bytes_(kind) {
  U8(version);
}

void SketchWriter::F64(double value) { U64(std::bit_cast<std::uint64_t>(value)); }

void SketchWriter::Varint(std::uint64_t value) {
  while (value >= 0x80) {
    U8(static_cast<std::uint8_t>(value | 0x80));
    value >>= 7;
  }
  U8(static_cast<std::uint8_t>(value));
}

void SketchWriter::Text(std::string_view text) {
  U32(static_cast<std::uint32_t>(text.size()));
  bytes_.append(text);
}

std::string SketchWriter::Seal() && {
  U64(StableHash(bytes_));
  return std::move(bytes_);
}

void SketchWriter::Little(std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) U8(static_cast<std::uint8_t>(value >> (8 * i)));
}

SketchReader::SketchReader(std::string_view name, std::string_view bytes, std::string_view kind,
                           std::uint8_t version, std::size_t at_most)
    : name_(name) {
  if (bytes.size() < kHeaderBytes + kSealBytes) {
    Fail(std::to_string(bytes.size()) + " bytes are too few");
  } else if (bytes.size() > at_most) {
    Fail(std::to_string(bytes.size()) + " bytes are more than the limit of " +
         std::to_string(at_most));
  } else {
    Open(bytes, kind, version);
  }
}

void SketchReader::Open(std::string_view bytes, std::string_view kind, std::uint8_t version) {
  if (bytes.substr(0, 4) != kind) return Fail("the bytes are of another kind");
  const auto found = static_cast<std::uint8_t>(bytes[4]);
  if (found != version) {
    return Fail("version " + std::to_string(found) + " is not known, only " +
                std::to_string(version));
  }
  const std::string_view sealed = bytes.substr(0, bytes.size() - kSealBytes);
  rest_ = bytes.substr(sealed.size());
  if (U64() != StableHash(sealed)) return Fail("the bytes are damaged");
  rest_ = sealed.substr(kHeaderBytes);
}

double SketchReader::F64() { return std::bit_cast<double>(U64()); }

std::uint64_t SketchReader::Varint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const std::uint8_t byte = U8();
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) {
      // One form for each number: no bits lost at the top, no zero bytes behind.
      if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0)) Fail("a number is malformed");
      return ok() ? value : 0;
    }
  }
  Fail("a number is malformed");
  return 0;
}

std::uint64_t SketchReader::Count(std::uint64_t at_most, std::uint64_t& total) {
  const std::uint64_t read = Varint();
  // Before it is added, so that the sum cannot wrap.
  Require(read <= at_most - total, "more than " + std::to_string(at_most) + " values");
  if (!ok()) return 0;
  total += read;
  return read;
}

std::string_view SketchReader::Text(std::size_t at_most) {
  const std::size_t size = Entries("bytes in a name", at_most, 1);
  const std::string_view text = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return text;
}

std::size_t SketchReader::Entries(std::string_view what, std::size_t at_most,
                                  std::size_t bytes_each) {
  const std::uint64_t count = U32();
  if (count > at_most) {
    Fail(std::to_string(count) + " " + std::string(what) + " are more than the limit of " +
         std::to_string(at_most));
    return 0;
  }
  if (count * bytes_each > rest_.size()) {
    Fail("the bytes end early");
    return 0;
  }
  return static_cast<std::size_t>(count);
}

void SketchReader::Fail(std::string_view reason) {
  if (wrong_.empty()) wrong_ = reason;
  rest_ = {};
}

Result<void> SketchReader::Finish() {
  if (ok() && !rest_.empty()) Fail(std::to_string(rest_.size()) + " bytes are left over");
  if (!ok()) {
    return Error{ErrorCode::kInvalidArgument, std::string(name_) + ": " + wrong_};
  }
  return {};
}

std::uint64_t SketchReader::Little(std::size_t bytes) {
  if (rest_.size() < bytes) {
    Fail("the bytes end early");
    return 0;
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(rest_[i])) << (8 * i);
  }
  rest_.remove_prefix(bytes);
  return value;
}

}  // namespace tidewheel::stats::internal
