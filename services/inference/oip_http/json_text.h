#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

namespace tidewheel::inference {

/// Appends `text` with quotes; what is no UTF-8 in it becomes U+FFFD.
void AppendQuoted(std::string_view text, std::string* json);

template <std::integral T>
void AppendNumber(T value, std::string* json) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  json->append(digits, end);
}

/// {"error":"..."}
std::string ErrorJson(std::string_view words);

}  // namespace tidewheel::inference
