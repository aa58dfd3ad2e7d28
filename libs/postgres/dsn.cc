#include "tidewheel/postgres/dsn.h"

namespace tidewheel::postgres {
namespace {

bool IsUri(std::string_view dsn) {
  return dsn.starts_with("postgresql://") || dsn.starts_with("postgres://");
}

std::string PercentEncoded(std::string_view value) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text;
  for (const char c : value) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      text.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      text.push_back('%');
      text.push_back(kDigits[byte >> 4]);
      text.push_back(kDigits[byte & 0x0F]);
    }
  }
  return text;
}

std::string Quoted(std::string_view value) {
  std::string text = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') text.push_back('\\');
    text.push_back(c);
  }
  return text + "'";
}

}  // namespace

std::string WithParameter(std::string_view dsn, std::string_view key, std::string_view value) {
  std::string text(dsn);
  if (IsUri(dsn)) {
    text += dsn.find('?') == std::string_view::npos ? '?' : '&';
    return text + std::string(key) + '=' + PercentEncoded(value);
  }
  if (!text.empty()) text += ' ';
  return text + std::string(key) + '=' + Quoted(value);
}

}  // namespace tidewheel::postgres
