#include "tidewheel/cli/output/json.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "tidewheel/cli/readers/text_rules.h"

namespace tidewheel::cli {
namespace {

std::string Quoted(std::string_view text) {
  // Only UTF-8 may stand in JSON; what is not was shown escaped everywhere else too.
  const std::string readable = IsUtf8(text) ? std::string(text) : Printable(text, text.size() * 4);
  std::string quoted = "\"";
  for (const char c : readable) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      quoted += escape;
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

}  // namespace

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  // Every message of ours can be written; only a broken Any could not.
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok()) return "{}\n";
  if (!text.ends_with('\n')) text += '\n';
  return text;
}

JsonObject::Value& JsonObject::At(const std::string& key) {
  const auto found = std::find_if(members_.begin(), members_.end(),
                                  [&](const auto& member) { return member.first == key; });
  if (found != members_.end()) return found->second;
  return members_.emplace_back(key, Value{}).second;
}

JsonObject& JsonObject::Set(const std::string& key, std::string_view value) {
  At(key) = {Quoted(value), false, {}};
  return *this;
}
JsonObject& JsonObject::Set(const std::string& key, double value) {
  char text[32];
  const auto written = std::to_chars(text, text + sizeof text, value);
  At(key) = {std::isfinite(value) ? std::string(text, written.ptr) : "null", false, {}};
  return *this;
}
JsonObject& JsonObject::Set(const std::string& key, std::uint64_t value) {
  At(key) = {std::to_string(value), false, {}};
  return *this;
}
JsonObject& JsonObject::Set(const std::string& key, bool value) {
  At(key) = {value ? "true" : "false", false, {}};
  return *this;
}
JsonObject& JsonObject::Set(const std::string& key, const JsonObject& value) {
  At(key) = {"", false, {value}};
  return *this;
}
JsonObject& JsonObject::Add(const std::string& key, const JsonObject& value) {
  EnsureList(key).At(key).objects.push_back(value);
  return *this;
}
JsonObject& JsonObject::EnsureList(const std::string& key) {
  At(key).is_list = true;
  return *this;
}

std::string JsonObject::Text() const {
  std::string text;
  Write(0, true, &text);
  return text + "\n";
}

std::string JsonObject::Line() const {
  std::string text;
  Write(0, false, &text);
  return text + "\n";
}

void JsonObject::Write(int depth, bool lines, std::string* text) const {
  const auto new_line = [&](int level) {
    if (lines) *text += "\n" + std::string(static_cast<std::size_t>(level), ' ');
  };
  *text += '{';
  bool first = true;
  for (const auto& [key, value] : members_) {
    if (!first) *text += ',';
    first = false;
    new_line(depth + 1);
    *text += Quoted(key) + (lines ? ": " : ":");
    if (value.is_list) {
      *text += '[';
      for (std::size_t i = 0; i < value.objects.size(); ++i) {
        if (i > 0) *text += ',';
        new_line(depth + 2);
        value.objects[i].Write(depth + 2, lines, text);
      }
      if (!value.objects.empty()) new_line(depth + 1);
      *text += ']';
    } else if (!value.objects.empty()) {
      value.objects[0].Write(depth + 1, lines, text);
    } else {
      *text += value.scalar;
    }
  }
  if (!members_.empty()) new_line(depth);
  *text += '}';
}

}  // namespace tidewheel::cli
