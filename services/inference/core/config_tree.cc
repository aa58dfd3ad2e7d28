#include "tidewheel/inference/core/config_tree.h"

#include <cstdint>
#include <optional>
#include <utility>

namespace tidewheel::inference {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void AppendUtf8(std::string& text, std::uint32_t code) {
  const auto byte = [&](std::uint32_t value) { text.push_back(static_cast<char>(value)); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xC0 | (code >> 6));
    byte(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    byte(0xE0 | (code >> 12));
    byte(0x80 | ((code >> 6) & 0x3F));
    byte(0x80 | (code & 0x3F));
  } else {
    byte(0xF0 | (code >> 18));
    byte(0x80 | ((code >> 12) & 0x3F));
    byte(0x80 | ((code >> 6) & 0x3F));
    byte(0x80 | (code & 0x3F));
  }
}

bool IsUtf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t more = lead < 0x80   ? 0
                             : lead < 0xC2 ? 9
                             : lead < 0xE0 ? 1
                             : lead < 0xF0 ? 2
                             : lead < 0xF5 ? 3
                                           : 9;
    if (more == 9 || text.size() - i <= more) return false;
    std::uint32_t code = more == 0 ? lead : lead & (0x3FU >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0) != 0x80) return false;
      code = (code << 6) | (next & 0x3FU);
    }
    const bool overlong = (more == 2 && code < 0x800) || (more == 3 && code < 0x10000);
    if (overlong || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
    i += more + 1;
  }
  return true;
}

/// What both forms have in common: a place in the text, and the limits.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool done() const { return at_ >= text_.size(); }
  char now() const { return done() ? '\0' : text_[at_]; }
  std::size_t line() const { return line_; }
  void Step() {
    if (now() == '\n') ++line_;
    ++at_;
  }
  bool Eat(char c) {
    if (done() || now() != c) return false;
    Step();
    return true;
  }
  void SkipSpace(bool comments) {
    while (!done()) {
      const char c = now();
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r' ||
          (comments && (c == '\v' || c == '\f'))) {
        Step();
      } else if (comments && c == '#') {
        while (!done() && now() != '\n') Step();
      } else {
        return;
      }
    }
  }
  Error Wrong(const std::string& what) const {
    return {ErrorCode::kInvalidArgument, "line " + std::to_string(line_) + ": " + what};
  }
  Result<void> CountValue() {
    if (++values_ <= kMostConfigValues) return {};
    return Wrong("more than " + std::to_string(kMostConfigValues) + " values");
  }
  Error TooDeep() const {
    return Wrong("more than " + std::to_string(kMostConfigDepth) + " messages within each other");
  }
  std::string Found() const {
    if (done()) return "the end";
    const char c = now();
    return c > ' ' && c < 127 ? std::string("'") + c + "'"
                              : "byte " + std::to_string(static_cast<unsigned char>(c));
  }
  /// `digits` hexadecimal digits.
  std::optional<std::uint32_t> Hex(int digits) {
    std::uint32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = HexValue(now());
      if (done() || digit < 0) return std::nullopt;
      value = value * 16 + static_cast<std::uint32_t>(digit);
      Step();
    }
    return value;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t values_ = 0;
};

Result<void> CheckSize(std::string_view text) {
  if (text.size() <= kMostConfigBytes) return {};
  return Error{ErrorCode::kInvalidArgument, "the configuration has " + std::to_string(text.size()) +
                                                " bytes, its limit is " +
                                                std::to_string(kMostConfigBytes)};
}

class TextParser {
 public:
  explicit TextParser(std::string_view text) : at_(text) {}

  Result<ConfigTree> Parse() {
    ConfigTree root{.line = 1};
    if (const auto read = Fields(root, '\0', 0); !read) return read.error();
    return root;
  }

 private:
  void SkipSpace() { at_.SkipSpace(true); }

  Result<void> Fields(ConfigTree& message, char closing, std::size_t depth) {
    if (depth > kMostConfigDepth) return at_.TooDeep();
    while (true) {
      SkipSpace();
      if (at_.done()) {
        if (closing == '\0') return {};
        return at_.Wrong("the message of line " + std::to_string(message.line) + " is not closed");
      }
      if (closing != '\0' && at_.Eat(closing)) return {};
      if (at_.Eat(',') || at_.Eat(';')) continue;
      auto name = FieldName();
      if (!name) return name.error();
      if (const auto read = Field(message, *name, depth); !read) return read.error();
    }
  }

  Result<std::string> FieldName() {
    std::string name;
    if (at_.Eat('[')) {  // An extension: nobody knows it here, but it is well formed.
      while (!at_.done() && at_.now() != ']' && at_.now() != '\n') {
        name.push_back(at_.now());
        at_.Step();
      }
      if (!at_.Eat(']')) return at_.Wrong("a name in brackets is not closed");
      return "[" + name + "]";
    }
    if (!IsLetter(at_.now())) return at_.Wrong("a field's name is expected, not " + at_.Found());
    while (IsLetter(at_.now()) || IsDigit(at_.now())) {
      name.push_back(at_.now());
      at_.Step();
    }
    return name;
  }

  Result<void> Field(ConfigTree& message, const std::string& name, std::size_t depth) {
    const std::size_t line = at_.line();
    SkipSpace();
    const bool colon = at_.Eat(':');
    SkipSpace();
    if (at_.now() == '{' || at_.now() == '<') return Message(message, name, line, depth);
    if (!at_.Eat('[')) {
      if (!colon) {
        return at_.Wrong("field \"" + name + "\": ':' or '{' is expected, not " + at_.Found());
      }
      return Scalar(message, name, line);
    }
    SkipSpace();
    if (at_.Eat(']')) return {};
    while (true) {
      SkipSpace();
      const auto read = at_.now() == '{' || at_.now() == '<'
                            ? Message(message, name, at_.line(), depth)
                            : Scalar(message, name, at_.line());
      if (!read) return read.error();
      SkipSpace();
      if (at_.Eat(']')) return {};
      if (!at_.Eat(',')) {
        return at_.Wrong("field \"" + name + "\": ',' or ']' is expected, not " + at_.Found());
      }
    }
  }

  Result<void> Message(ConfigTree& parent, const std::string& name, std::size_t line,
                       std::size_t depth) {
    if (const auto counted = at_.CountValue(); !counted) return counted.error();
    const char closing = at_.now() == '{' ? '}' : '>';
    at_.Step();
    ConfigTree child{.name = name, .line = line};
    if (const auto read = Fields(child, closing, depth + 1); !read) return read.error();
    parent.fields.push_back(std::move(child));
    return {};
  }

  Result<void> Scalar(ConfigTree& parent, const std::string& name, std::size_t line) {
    if (const auto counted = at_.CountValue(); !counted) return counted.error();
    ConfigTree child{.name = name, .line = line, .kind = ConfigTree::Kind::kWord};
    if (at_.now() == '"' || at_.now() == '\'') {
      child.kind = ConfigTree::Kind::kText;
      while (at_.now() == '"' || at_.now() == '\'') {  // Strings side by side are one.
        if (const auto read = Quoted(child.text); !read) return read.error();
        SkipSpace();
      }
      if (!IsUtf8(child.text)) return at_.Wrong("field \"" + name + "\" is not UTF-8");
    } else {
      if (at_.Eat('-')) {
        child.text = "-";
        SkipSpace();
      }
      while (IsLetter(at_.now()) || IsDigit(at_.now()) || at_.now() == '.' || at_.now() == '+' ||
             at_.now() == '-') {
        child.text.push_back(at_.now());
        at_.Step();
      }
      if (child.text.empty() || child.text == "-") {
        return at_.Wrong("field \"" + name + "\": a value is expected, not " + at_.Found());
      }
    }
    parent.fields.push_back(std::move(child));
    return {};
  }

  Result<void> Quoted(std::string& text) {
    const char quote = at_.now();
    at_.Step();
    while (!at_.done() && at_.now() != quote) {
      if (at_.now() == '\n') return at_.Wrong("a string is not closed");
      if (!at_.Eat('\\')) {
        text.push_back(at_.now());
        at_.Step();
        continue;
      }
      if (const auto read = Escape(text); !read) return read.error();
    }
    if (!at_.Eat(quote)) return at_.Wrong("a string is not closed");
    return {};
  }

  Result<void> Escape(std::string& text) {
    const char c = at_.now();
    if (c >= '0' && c <= '7') {
      int value = 0;
      for (int i = 0; i < 3 && at_.now() >= '0' && at_.now() <= '7'; ++i) {
        value = value * 8 + (at_.now() - '0');
        at_.Step();
      }
      if (value > 255) return at_.Wrong("an octal escape is above 377");
      text.push_back(static_cast<char>(value));
      return {};
    }
    if (at_.done() || c == '\n') return at_.Wrong("a string is not closed");
    at_.Step();
    if (c == 'x' || c == 'X') {
      int value = HexValue(at_.now());
      if (value < 0) return at_.Wrong("\\x without a hexadecimal digit");
      at_.Step();
      if (const int second = HexValue(at_.now()); second >= 0) {
        value = value * 16 + second;
        at_.Step();
      }
      text.push_back(static_cast<char>(value));
      return {};
    }
    if (c == 'u' || c == 'U') {
      const auto code = at_.Hex(c == 'u' ? 4 : 8);
      if (!code || *code > 0x10FFFF) return at_.Wrong("an escape that is no Unicode character");
      AppendUtf8(text, *code);
      return {};
    }
    constexpr std::string_view kNames = "abfnrtv\\'\"?";
    constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\'\"?";
    const auto known = kNames.find(c);
    if (known == std::string_view::npos) {
      return at_.Wrong(std::string("no such escape: \\") +
                       (c > ' ' && c < 127 ? std::string(1, c) : "?"));
    }
    text.push_back(kValues[known]);
    return {};
  }

  Cursor at_;
};

class JsonParser {
 public:
  explicit JsonParser(std::string_view text) : at_(text) {}

  Result<ConfigTree> Parse() {
    ConfigTree root{.line = 1, .json = true};
    SkipSpace();
    if (at_.now() != '{') return at_.Wrong("a JSON object is expected, not " + at_.Found());
    if (const auto read = Object(root, 0); !read) return read.error();
    SkipSpace();
    if (!at_.done()) return at_.Wrong("after the JSON object stands " + at_.Found());
    return root;
  }

 private:
  void SkipSpace() { at_.SkipSpace(false); }

  Result<void> Object(ConfigTree& message, std::size_t depth) {
    if (depth > kMostConfigDepth) return at_.TooDeep();
    at_.Step();
    SkipSpace();
    if (at_.Eat('}')) return {};
    while (true) {
      SkipSpace();
      std::string name;
      if (const auto read = Quoted(name); !read) return read.error();
      SkipSpace();
      if (!at_.Eat(':')) return at_.Wrong("':' is expected, not " + at_.Found());
      SkipSpace();
      if (at_.Eat('[')) {
        if (const auto read = Array(message, name, depth); !read) return read.error();
      } else if (const auto read = Value(message, name, depth); !read) {
        return read.error();
      }
      SkipSpace();
      if (at_.Eat('}')) return {};
      if (!at_.Eat(',')) return at_.Wrong("',' or '}' is expected, not " + at_.Found());
    }
  }

  Result<void> Array(ConfigTree& message, const std::string& name, std::size_t depth) {
    SkipSpace();
    if (at_.Eat(']')) return {};
    while (true) {
      SkipSpace();
      if (at_.now() == '[') return at_.Wrong("an array within an array");
      if (const auto read = Value(message, name, depth); !read) return read.error();
      SkipSpace();
      if (at_.Eat(']')) return {};
      if (!at_.Eat(',')) return at_.Wrong("',' or ']' is expected, not " + at_.Found());
    }
  }

  Result<void> Value(ConfigTree& parent, const std::string& name, std::size_t depth) {
    if (const auto counted = at_.CountValue(); !counted) return counted.error();
    ConfigTree child{.name = name, .line = at_.line()};
    if (at_.now() == '{') {
      if (const auto read = Object(child, depth + 1); !read) return read.error();
    } else if (at_.now() == '"') {
      child.kind = ConfigTree::Kind::kText;
      if (const auto read = Quoted(child.text); !read) return read.error();
    } else {
      child.kind = ConfigTree::Kind::kWord;
      while (IsLetter(at_.now()) || IsDigit(at_.now()) || at_.now() == '.' || at_.now() == '+' ||
             at_.now() == '-') {
        child.text.push_back(at_.now());
        at_.Step();
      }
      if (child.text.empty()) return at_.Wrong("a value is expected, not " + at_.Found());
      if (child.text == "null") return {};
      if (!IsDigit(child.text[0]) && child.text[0] != '-' && child.text != "true" &&
          child.text != "false") {
        return at_.Wrong("\"" + child.text.substr(0, 40) + "\" is no JSON value");
      }
    }
    parent.fields.push_back(std::move(child));
    return {};
  }

  Result<void> Quoted(std::string& text) {
    if (!at_.Eat('"')) return at_.Wrong("a string is expected, not " + at_.Found());
    while (!at_.done() && at_.now() != '"') {
      if (static_cast<unsigned char>(at_.now()) < 0x20) {
        return at_.Wrong("a control character in a string");
      }
      if (!at_.Eat('\\')) {
        text.push_back(at_.now());
        at_.Step();
        continue;
      }
      const char c = at_.now();
      if (at_.done()) break;
      at_.Step();
      if (c == 'u') {
        auto code = at_.Hex(4);
        if (code && *code >= 0xD800 && *code < 0xDC00 && at_.Eat('\\') && at_.Eat('u')) {
          const auto low = at_.Hex(4);
          if (low && *low >= 0xDC00 && *low < 0xE000) {
            code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
          }
        }
        if (!code || (*code >= 0xD800 && *code < 0xE000)) {
          return at_.Wrong("an escape that is no Unicode character");
        }
        AppendUtf8(text, *code);
        continue;
      }
      constexpr std::string_view kNames = "\"\\/bfnrt";
      constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
      const auto known = kNames.find(c);
      if (known == std::string_view::npos) return at_.Wrong("no such escape in a JSON string");
      text.push_back(kValues[known]);
    }
    if (!at_.Eat('"')) return at_.Wrong("a string is not closed");
    if (!IsUtf8(text)) return at_.Wrong("a string is not UTF-8");
    return {};
  }

  Cursor at_;
};

}  // namespace

Result<ConfigTree> ParseConfigText(std::string_view text) {
  if (const auto fits = CheckSize(text); !fits) return fits.error();
  return TextParser(text).Parse();
}

Result<ConfigTree> ParseConfigJson(std::string_view text) {
  if (const auto fits = CheckSize(text); !fits) return fits.error();
  return JsonParser(text).Parse();
}

std::string JsonQuoted(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20) {
      quoted += "\\u00";
      quoted += kDigits[byte >> 4];
      quoted += kDigits[byte & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace tidewheel::inference
