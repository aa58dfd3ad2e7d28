#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace tidewheel::inference {

/// Reads one message of the protocol buffers' wire format, field by field, without copying:
///   while (reader.Next()) switch (reader.field()) { case 1: name = reader.Bytes(); ... }
///   if (!reader.ok()) ...
/// A field that is not read is skipped. What is read as another type than it has makes the reader
/// not ok and ends it.
class WireReader {
 public:
  enum Type : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

  explicit WireReader(std::string_view message) : rest_(message) {}

  bool Next() {
    if (pending_) Skip();
    if (!ok_ || rest_.empty()) return false;
    const std::uint64_t tag = RawVarint();
    field_ = static_cast<std::uint32_t>(tag >> 3);
    type_ = static_cast<std::uint32_t>(tag & 7);
    if (tag > 0xffffffffU || field_ == 0) ok_ = false;
    pending_ = ok_;
    return ok_;
  }
  bool ok() const { return ok_; }
  std::uint32_t field() const { return field_; }
  std::uint32_t type() const { return type_; }
  /// What follows the field's tag.
  std::string_view Rest() const { return rest_; }

  std::uint64_t Varint() { return Take(kVarint) ? RawVarint() : 0; }
  std::uint64_t Fixed64() { return Take(kFixed64) ? RawFixed<std::uint64_t>() : 0; }
  std::uint32_t Fixed32() { return Take(kFixed32) ? RawFixed<std::uint32_t>() : 0; }
  std::string_view Bytes() {
    if (!Take(kBytes)) return {};
    const std::uint64_t size = RawVarint();
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  /// Of a repeated number, one or packed: calls `take` with each.
  template <typename F>
  void Varints(F take) {
    if (type_ == kVarint) return take(Varint());
    WireReader packed(Bytes());
    while (packed.ok_ && !packed.rest_.empty()) {
      const std::uint64_t value = packed.RawVarint();
      if (packed.ok_) take(value);
    }
    ok_ = ok_ && packed.ok_;
  }
  /// Of a repeated float or double, one or packed: little-endian bytes, as they lie in memory.
  std::string_view Fixed(Type type, std::size_t size) {
    if (type_ != type) {
      const std::string_view packed = Bytes();
      if (packed.size() % size != 0) ok_ = false;
      return packed;
    }
    if (!Take(type)) return {};
    if (rest_.size() < size) {
      ok_ = false;
      return {};
    }
    const std::string_view one = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return one;
  }

 private:
  bool Take(std::uint32_t type) {
    if (!pending_ || type_ != type) ok_ = false;
    pending_ = false;
    return ok_;
  }
  void Skip() {
    switch (type_) {
      case kVarint:
        (void)Varint();
        return;
      case kFixed64:
        (void)Fixed64();
        return;
      case kBytes:
        (void)Bytes();
        return;
      case kFixed32:
        (void)Fixed32();
        return;
      default:  // Groups, which this protocol never had.
        ok_ = false;
    }
  }
  std::uint64_t RawVarint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (rest_.empty()) break;
      const auto byte = static_cast<std::uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      if (shift < 64) value |= std::uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80U) == 0) return value;
    }
    ok_ = false;
    return 0;
  }
  template <typename T>
  T RawFixed() {
    T value = 0;
    if (rest_.size() < sizeof value) {
      ok_ = false;
      return 0;
    }
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }

  std::string_view rest_;
  std::uint32_t field_ = 0;
  std::uint32_t type_ = 0;
  bool pending_ = false;
  bool ok_ = true;
};

/// Appends fields in the same format.
class WireWriter {
 public:
  explicit WireWriter(std::string& out) : out_(out) {}

  void RawVarint(std::uint64_t value) {
    while (value >= 0x80) {
      out_.push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    out_.push_back(static_cast<char>(value));
  }
  void Tag(std::uint32_t field, WireReader::Type type) {
    RawVarint((std::uint64_t{field} << 3) | type);
  }
  void Varint(std::uint32_t field, std::uint64_t value) {
    Tag(field, WireReader::kVarint);
    RawVarint(value);
  }
  void Fixed64(std::uint32_t field, std::uint64_t value) {
    Tag(field, WireReader::kFixed64);
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out_.append(bytes, sizeof value);
  }
  void Bytes(std::uint32_t field, std::string_view bytes) {
    Tag(field, WireReader::kBytes);
    RawVarint(bytes.size());
    out_.append(bytes);
  }
  /// As proto3 leaves out what is empty.
  void BytesUnlessEmpty(std::uint32_t field, std::string_view bytes) {
    if (!bytes.empty()) Bytes(field, bytes);
  }

 private:
  std::string& out_;
};

/// Whether the text may go into a field of type string.
bool IsUtf8(std::string_view text);

}  // namespace tidewheel::inference
