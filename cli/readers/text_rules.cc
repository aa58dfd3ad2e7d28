#include "tidewheel/cli/readers/text_rules.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <utility>

namespace tidewheel::cli {
namespace {

// Length of the UTF-8 sequence at the beginning of `text`; 0 when there is none.
std::size_t SequenceLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i) {
    return i < text.size() && (byte(i) & 0xC0u) == 0x80u;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!continues(1) || !continues(2)) return 0;
    if (first == 0xE0 && byte(1) < 0xA0) return 0;
    if (first == 0xED && byte(1) > 0x9F) return 0;
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    if (first == 0xF0 && byte(1) < 0x90) return 0;
    if (first == 0xF4 && byte(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::optional<std::string> SplitOfWord(std::string_view word) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kWords = {{
      {"train", "training"},
      {"training", "training"},
      {"val", "validation"},
      {"valid", "validation"},
      {"validation", "validation"},
      {"test", "test"},
      {"testing", "test"},
      {"t10k", "test"},
  }};
  for (const auto& [name, split] : kWords) {
    if (word == name) return std::string(split);
  }
  return std::nullopt;
}

}  // namespace

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = SequenceLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string ProblemOfName(std::string_view name) {
  if (name.empty()) return "its name is empty";
  if (name.size() > kMaxNameBytes) {
    return "its name has " + std::to_string(name.size()) + " bytes, the limit is " +
           std::to_string(kMaxNameBytes);
  }
  if (!IsUtf8(name)) return "its name is not UTF-8";
  return {};
}

std::string Printable(std::string_view text, std::size_t at_most) {
  std::string printable;
  while (!text.empty()) {
    if (printable.size() >= at_most) return printable + "...";
    const std::size_t length = SequenceLength(text);
    const auto first = static_cast<unsigned char>(text[0]);
    // U+0080 to U+009F are control characters too: terminals obey them.
    const bool control =
        first < 0x20 || first == 0x7F ||
        (length == 2 && first == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0);
    if (length == 0 || control) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02X", first);
      printable += escape;
      text.remove_prefix(1);
    } else {
      printable += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return printable;
}

std::string FormatBytes(std::uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " bytes";
  static constexpr std::array<const char*, 4> kUnits = {"KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %s", value, kUnits[unit]);
  return text;
}

std::string OverLimit(std::uint64_t bytes, std::uint64_t limit) {
  return FormatBytes(bytes) + " is over the limit of " + FormatBytes(limit);
}

bool LooksLikePicture(std::string_view path) {
  const auto slash = path.find_last_of('/');
  const std::string_view file = slash == std::string_view::npos ? path : path.substr(slash + 1);
  const auto dot = file.find_last_of('.');
  if (dot == std::string_view::npos) return true;
  const std::string extension = LowerCase(file.substr(dot + 1));
  static constexpr std::array<std::string_view, 7> kPictures = {"jpg", "jpeg", "png", "ppm",
                                                                "pgm", "pnm",  "webp"};
  return std::find(kPictures.begin(), kPictures.end(), extension) != kPictures.end();
}

std::optional<std::string> SplitOfPath(std::string_view path) {
  std::optional<std::string> found;
  while (!path.empty()) {
    const auto slash = path.find('/');
    std::string component = LowerCase(path.substr(0, slash));
    if (slash == std::string_view::npos) {
      component = component.substr(0, component.find_first_of("-_."));
      path = {};
    } else {
      path.remove_prefix(slash + 1);
    }
    if (auto split = SplitOfWord(component)) {
      // A folder says more than the name of the file in it.
      if (!path.empty() || !found) found = std::move(split);
    }
  }
  return found;
}

}  // namespace tidewheel::cli
