#include "tidewheel/model_registry/declaration/yaml_text.h"

#include <array>
#include <charconv>

namespace tidewheel::model_registry {

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20) {
      constexpr char kDigits[] = "0123456789ABCDEF";
      out += "\\x";
      out.push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 0x0F]);
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

std::string Number(double value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

std::string Numbers(const std::vector<double>& values) {
  std::string out = "[";
  for (const double value : values) out += (out.size() > 1 ? ", " : "") + Number(value);
  return out + "]";
}

std::string Texts(const std::vector<std::string>& values) {
  std::string out = "[";
  for (const auto& value : values) out += (out.size() > 1 ? ", " : "") + Quoted(value);
  return out + "]";
}

}  // namespace tidewheel::model_registry
