#include "tidewheel/postgres/arrays.h"

#include <charconv>
#include <cmath>

namespace tidewheel::postgres {

void ArrayLiteral::Next() {
  if (text_.size() > 1) text_.push_back(',');
}

void ArrayLiteral::AddText(std::string_view text) {
  Next();
  text_.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') text_.push_back('\\');
    text_.push_back(c);
  }
  text_.push_back('"');
}

void ArrayLiteral::AddText(const std::optional<std::string>& text) {
  if (text) {
    AddText(std::string_view(*text));
  } else {
    AddNull();
  }
}

void ArrayLiteral::AddInt(std::int64_t value) {
  Next();
  text_ += std::to_string(value);
}

void ArrayLiteral::AddDouble(double value) {
  Next();
  if (std::isnan(value)) {
    text_ += "NaN";
  } else if (std::isinf(value)) {
    text_ += value > 0 ? "Infinity" : "-Infinity";
  } else {
    char buffer[32];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
    text_.append(buffer, end);
  }
}

void ArrayLiteral::AddBool(bool value) {
  Next();
  text_ += value ? "t" : "f";
}

void ArrayLiteral::AddBytes(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  Next();
  text_ += "\"\\\\x";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text_.push_back(kDigits[byte >> 4]);
    text_.push_back(kDigits[byte & 0x0F]);
  }
  text_.push_back('"');
}

void ArrayLiteral::AddTimestamp(Timestamp time) { AddText(std::string_view(FormatUtc(time))); }

void ArrayLiteral::AddNull() {
  Next();
  text_ += "NULL";
}

namespace internal {

void AppendBigEndian(std::uint64_t value, int bytes, std::string& out) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift));
  }
}

std::string BigEndian(std::uint64_t value, int bytes) {
  std::string text;
  AppendBigEndian(value, bytes, text);
  return text;
}

std::string TimestampElement::Encode(Timestamp value) {
  constexpr Timestamp kEpoch{std::chrono::sys_days{std::chrono::year{2000} / 1 / 1}};
  return BigEndian(static_cast<std::uint64_t>((value - kEpoch).count()), 8);
}

ArrayBytes::ArrayBytes(std::uint32_t element_oid) : element_oid_(element_oid) {}

void ArrayBytes::Add(std::string_view element) {
  ++count_;
  body_ += BigEndian(element.size(), 4);
  body_ += element;
}

void ArrayBytes::AddNull() {
  ++count_;
  has_null_ = true;
  body_ += BigEndian(0xFFFF'FFFF, 4);
}

std::string ArrayBytes::Whole() const {
  // Dimensions, has-null, element type; then size and lower bound of the one dimension, which an
  // empty array lacks.
  std::string whole = BigEndian(count_ == 0 ? 0 : 1, 4) + BigEndian(has_null_ ? 1 : 0, 4) +
                      BigEndian(element_oid_, 4);
  if (count_ != 0) whole += BigEndian(count_, 4) + BigEndian(1, 4);
  return whole + body_;
}

pqxx::binarystring ArrayBytes::Parameter() const {
  const std::string whole = Whole();
  return pqxx::binarystring(whole.data(), whole.size());
}

}  // namespace internal

}  // namespace tidewheel::postgres
