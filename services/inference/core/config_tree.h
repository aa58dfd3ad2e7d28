#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::inference {

/// A configuration as it was written, before anybody knows what its fields mean. A repeated field
/// is several fields of one name.
struct ConfigTree {
  enum class Kind {
    kMessage,  // Has `fields`.
    kText,     // Was in quotes; `text` is UTF-8 without its escapes.
    kWord,     // A number, a truth or a name of an enumeration, as written.
  };
  std::string name{};
  std::size_t line = 0;  // From 1.
  bool json = false;     // Of the root: maps are objects, not entries of `key` and `value`.
  Kind kind = Kind::kMessage;
  std::string text{};
  std::vector<ConfigTree> fields{};
};

/// Limits of both forms: bytes, messages within messages, values altogether.
inline constexpr std::size_t kMostConfigBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMostConfigDepth = 32;
inline constexpr std::size_t kMostConfigValues = 100'000;

/// The text format of protocol buffers. kInvalidArgument names the line.
Result<ConfigTree> ParseConfigText(std::string_view text);
/// A JSON object; members that are null are left out. kInvalidArgument names the line.
Result<ConfigTree> ParseConfigJson(std::string_view text);

/// `text` as a JSON string with its quotes.
std::string JsonQuoted(std::string_view text);

}  // namespace tidewheel::inference
