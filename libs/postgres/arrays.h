#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <string_view>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/digest.h"

namespace tidewheel::postgres {

/// An array parameter in PostgreSQL's text form, for any element type the statement casts to:
/// `tx.exec_params("... unnest($1::uuid[])", ids.text())`. Correctly escaped. For many rows
/// BinaryArray is faster.
class ArrayLiteral {
 public:
  void AddText(std::string_view text);
  void AddText(const std::optional<std::string>& text);
  void AddInt(std::int64_t value);
  void AddDouble(double value);  // Reads back bit-equal; NaN and infinities too.
  void AddBool(bool value);
  void AddBytes(std::string_view bytes);
  void AddTimestamp(Timestamp time);
  void AddNull();

  /// "{...}".
  std::string text() const { return text_ + "}"; }

 private:
  void Next();
  std::string text_ = "{";
};

/// `{"a","b"}` of any range of texts.
template <typename Range>
std::string TextArrayLiteral(const Range& texts) {
  ArrayLiteral array;
  for (const auto& text : texts) array.AddText(std::string_view(text));
  return array.text();
}

namespace internal {

/// The wire form of arrays and their elements (`array_recv` and the types' own receive functions).
class ArrayBytes {
 public:
  explicit ArrayBytes(std::uint32_t element_oid);
  void Add(std::string_view element);
  void AddNull();
  std::size_t size() const { return count_; }
  /// Header and elements.
  std::string Whole() const;
  pqxx::binarystring Parameter() const;

 private:
  std::uint32_t element_oid_;
  std::string body_;
  std::uint32_t count_ = 0;
  bool has_null_ = false;
};

void AppendBigEndian(std::uint64_t value, int bytes, std::string& out);
std::string BigEndian(std::uint64_t value, int bytes);

struct TextElement {
  using Value = std::string_view;
  static constexpr std::uint32_t kOid = 25;
  static Value Encode(Value value) { return value; }
};
struct ByteaElement {
  using Value = std::string_view;
  static constexpr std::uint32_t kOid = 17;
  static Value Encode(Value value) { return value; }
};
struct IntegerElement {
  using Value = std::int32_t;
  static constexpr std::uint32_t kOid = 23;
  static std::string Encode(Value value) { return BigEndian(static_cast<std::uint32_t>(value), 4); }
};
struct BigintElement {
  using Value = std::int64_t;
  static constexpr std::uint32_t kOid = 20;
  static std::string Encode(Value value) { return BigEndian(static_cast<std::uint64_t>(value), 8); }
};
struct RealElement {
  using Value = float;
  static constexpr std::uint32_t kOid = 700;
  static std::string Encode(Value value) {
    return BigEndian(std::bit_cast<std::uint32_t>(value), 4);
  }
};
struct DoubleElement {
  using Value = double;
  static constexpr std::uint32_t kOid = 701;
  static std::string Encode(Value value) {
    return BigEndian(std::bit_cast<std::uint64_t>(value), 8);
  }
};
struct BooleanElement {
  using Value = bool;
  static constexpr std::uint32_t kOid = 16;
  static std::string Encode(Value value) { return BigEndian(value ? 1 : 0, 1); }
};
struct TimestampElement {
  using Value = Timestamp;
  static constexpr std::uint32_t kOid = 1184;
  static std::string Encode(Value value);
};

}  // namespace internal

/// An array parameter in binary form: nothing is escaped, any byte may come, 1.2 to 1.35 times
/// faster than text for rows by the hundred. The statement must cast to exactly the array's type:
/// `unnest($1::text[], $2::bytea[])` takes a TextArray and a ByteaArray; other types go through
/// text: `SELECT id::uuid FROM unnest($1::text[]) AS id`.
template <typename Element>
class BinaryArray {
 public:
  using Value = typename Element::Value;

  void Add(Value value) { bytes_.Add(Element::Encode(value)); }
  void AddOptional(const std::optional<Value>& value) { value ? Add(*value) : AddNull(); }
  void AddNull() { bytes_.AddNull(); }
  std::size_t size() const { return bytes_.size(); }

  /// What exec_params takes.
  pqxx::binarystring Parameter() const { return bytes_.Parameter(); }

 private:
  internal::ArrayBytes bytes_{Element::kOid};
};

using TextArray = BinaryArray<internal::TextElement>;            // text[]
using ByteaArray = BinaryArray<internal::ByteaElement>;          // bytea[]
using IntegerArray = BinaryArray<internal::IntegerElement>;      // integer[]
using BigintArray = BinaryArray<internal::BigintElement>;        // bigint[]
using RealArray = BinaryArray<internal::RealElement>;            // real[]
using DoubleArray = BinaryArray<internal::DoubleElement>;        // double precision[]
using BooleanArray = BinaryArray<internal::BooleanElement>;      // boolean[]
using TimestampArray = BinaryArray<internal::TimestampElement>;  // timestamptz[]

/// The bytes of a digest as an element of a ByteaArray. Valid as long as `digest` is.
inline std::string_view BytesView(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

}  // namespace tidewheel::postgres
