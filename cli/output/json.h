#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidewheel::cli {

/// Protobuf JSON with the protos' own field names and every field present, indented, with a line
/// end. 64-bit integers are text there, as protobuf JSON has it.
std::string ToJson(const google::protobuf::Message& message);

/// An object that a command defines itself. Keys stay in the order in which they were set.
class JsonObject {
 public:
  JsonObject& Set(const std::string& key, std::string_view value);
  JsonObject& Set(const std::string& key, const char* value) {
    return Set(key, std::string_view(value));
  }
  JsonObject& Set(const std::string& key, double value);
  JsonObject& Set(const std::string& key, std::uint64_t value);
  JsonObject& Set(const std::string& key, bool value);
  JsonObject& Set(const std::string& key, const JsonObject& value);
  /// Appends to the list at `key`.
  JsonObject& Add(const std::string& key, const JsonObject& value);
  /// An empty list where there is none yet.
  JsonObject& EnsureList(const std::string& key);

  /// Indented, with a line end.
  std::string Text() const;
  /// On one line, with a line end: for files of one object a line.
  std::string Line() const;

 private:
  struct Value {
    std::string scalar;  // As it is written; empty: a list or an object.
    bool is_list = false;
    std::vector<JsonObject> objects;  // The list's, or the one object.
  };
  Value& At(const std::string& key);
  void Write(int depth, bool lines, std::string* text) const;

  std::vector<std::pair<std::string, Value>> members_;
};

}  // namespace tidewheel::cli
