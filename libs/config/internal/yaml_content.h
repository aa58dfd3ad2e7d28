#pragma once

// Inside of this library: what a parsed document holds, and how a scalar's text becomes a value.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/config/units.h"
#include "tidewheel/config/yaml.h"

namespace tidewheel::config::internal {

struct YamlValue {
  YamlNode::Kind kind = YamlNode::Kind::kNull;
  int line = 1;
  bool plain = true;  // Not quoted: may be a number or a boolean.
  std::string text;
  std::vector<std::pair<std::string, std::unique_ptr<YamlValue>>> entries;
  std::vector<std::unique_ptr<YamlValue>> items;

  // What readers asked for, so that the rest can be refused.
  mutable std::vector<std::string> known;
  mutable bool all_known = false;
};

struct Problem {
  int line = 0;
  std::string path;
  std::string text;
};

struct YamlContent {
  std::string name;
  YamlValue root;
  std::vector<Problem> problems;
};

/// ` "abc"`, cut to a length fit for a message.
std::string Quoted(std::string_view text);
/// `; did you mean "name"?`, or nothing when no known key is near.
std::string Suggestion(std::string_view key, const std::vector<std::string>& known);
/// "must be one of a, b, c, not "x"".
std::string ChoiceProblem(const std::vector<std::string>& choices, std::string_view text);

// The messages of these say what the value must be: "must be a whole number, not "x"".
Result<bool> ToBool(std::string_view text, bool plain);
Result<std::int64_t> ToInteger(std::string_view text, bool plain, std::int64_t min,
                               std::int64_t max);
Result<double> ToDouble(std::string_view text, bool plain, double min, double max);
Result<std::chrono::milliseconds> ToDuration(std::string_view text, std::chrono::milliseconds min,
                                             std::chrono::milliseconds max);
Result<ByteCount> ToByteCount(std::string_view text, ByteCount min, ByteCount max);

/// The shortest decimal text that reads back as the same number.
std::string NumberText(double value);

}  // namespace tidewheel::config::internal
