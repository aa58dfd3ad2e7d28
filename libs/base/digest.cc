#include "tidewheel/base/digest.h"

namespace tidewheel {

std::string Digest::Hex() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(64);
  for (const std::uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 0x0F]);
  }
  return text;
}

Result<Digest> Digest::FromHex(std::string_view hex) {
  const auto value = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  Digest digest;
  bool good = hex.size() == 64;
  for (std::size_t i = 0; good && i < 32; ++i) {
    const int high = value(hex[2 * i]);
    const int low = value(hex[2 * i + 1]);
    good = high >= 0 && low >= 0;
    if (good) digest.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  if (!good) {
    return Error{ErrorCode::kInvalidArgument, "\"" + std::string(hex.substr(0, 80)) +
                                                  "\" is not a SHA-256 of 64 hexadecimal digits"};
  }
  return digest;
}

}  // namespace tidewheel
