#include "tidewheel/model_registry/domain/audit.h"

#include <array>
#include <cstdio>

namespace tidewheel::model_registry {
namespace {

void AppendString(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> escaped{};
      std::snprintf(escaped.data(), escaped.size(), "\\u%04x", static_cast<unsigned char>(c));
      out += escaped.data();
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

}  // namespace

std::string CanonicalJson(const std::map<std::string, std::string>& values) {
  std::string out = "{";
  for (const auto& [key, value] : values) {
    if (out.size() > 1) out.push_back(',');
    AppendString(out, key);
    out.push_back(':');
    AppendString(out, value);
  }
  out.push_back('}');
  return out;
}

std::string HashedBytes(const AuditEntry& entry) {
  std::string bytes;
  const std::string number = std::to_string(entry.number);
  const std::string at = FormatUtc(entry.at);
  for (const std::string* field : {&number, &at, &entry.actor, &entry.action, &entry.subject,
                                   &entry.details, &entry.previous_hash}) {
    bytes += std::to_string(field->size());
    bytes.push_back(':');
    bytes += *field;
  }
  return bytes;
}

std::string FirstPreviousHash() { return std::string(64, '0'); }

}  // namespace tidewheel::model_registry
