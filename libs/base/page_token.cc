#include "tidewheel/base/page_token.h"

#include <cstdint>
#include <optional>

#include "tidewheel/base/random.h"

namespace tidewheel {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint64_t kSeed = 0x7469646577686c31;  // A new layout takes a new seed.

std::string Base64Url(std::string_view bytes) {
  std::string text;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    held += 8;
    while (held >= 6) {
      held -= 6;
      text.push_back(kAlphabet[bits >> held & 63]);
    }
  }
  if (held > 0) text.push_back(kAlphabet[bits << (6 - held) & 63]);
  return text;
}

std::optional<std::string> FromBase64Url(std::string_view text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const auto value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes.push_back(static_cast<char>(bits >> held & 255));
    }
  }
  return bytes;
}

std::string EightBytes(std::uint64_t value) {
  std::string text(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) text[i] = static_cast<char>(value >> (56 - 8 * i));
  return text;
}

/// Of the query and the keys together, so that neither can be exchanged alone.
std::string Check(std::string_view query, std::string_view body) {
  return EightBytes(StableHash(body, StableHash(query, kSeed)));
}

}  // namespace

std::string EncodePageToken(std::string_view query, const std::vector<std::string>& keys) {
  std::string body;
  for (const std::string& key : keys) body += EightBytes(key.size()).substr(4) + key;
  return Base64Url(Check(query, body) + body);
}

Result<std::vector<std::string>> DecodePageToken(std::string_view query, std::string_view token,
                                                 std::size_t keys) {
  std::vector<std::string> found;
  if (token.empty()) return found;
  const Error bad{
      ErrorCode::kInvalidArgument,
      "page_token belongs to another query; a listing's filter stays the same on every page"};
  const auto bytes = FromBase64Url(token);
  if (!bytes || bytes->size() < 8) return bad;
  std::string_view body = std::string_view(*bytes).substr(8);
  if (Check(query, body) != bytes->substr(0, 8)) return bad;

  while (!body.empty()) {
    if (body.size() < 4) return bad;
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<unsigned char>(body[i]);
    body.remove_prefix(4);
    if (body.size() < length) return bad;
    found.emplace_back(body.substr(0, length));
    body.remove_prefix(length);
  }
  if (found.size() != keys) return bad;
  return found;
}

}  // namespace tidewheel
