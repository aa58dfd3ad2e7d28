#include "tidewheel/config/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <sstream>

#include "tidewheel/config/internal/yaml_content.h"

namespace tidewheel::config {
namespace internal {
namespace {

/// Bytes of the well-formed UTF-8 character at `at` (Unicode 15, table 3-7), 0 when there is none.
std::size_t CharacterSize(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!follows(1) || !follows(2)) return 0;
    if (first == 0xE0 && byte(1) < 0xA0) return 0;
    if (first == 0xED && byte(1) > 0x9F) return 0;  // Surrogates.
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!follows(1) || !follows(2) || !follows(3)) return 0;
    if (first == 0xF0 && byte(1) < 0x90) return 0;
    if (first == 0xF4 && byte(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

bool IsText(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = CharacterSize(text, at);
    if (size == 0 || text[at] == '\0') return false;
    at += size;
  }
  return true;
}

/// Builds values from the parser's events; the first thing it must refuse stops it.
class Builder final : public YAML::EventHandler {
 public:
  Builder(YamlValue* root, const Yaml::Limits& limits) : limits_(limits), root_(root) {}

  const std::string& refusal() const { return refusal_; }
  int refusal_line() const { return refusal_line_; }

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Place(mark, YamlNode::Kind::kNull, anchor, "", "", true);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    Refuse(mark, "aliases are not supported: write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const bool plain = tag != "!";
    const bool null =
        plain && (value == "null" || value == "~" || value == "Null" || value == "NULL");
    Place(mark, null ? YamlNode::Kind::kNull : YamlNode::Kind::kScalar, anchor, tag, value, plain);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    Open(Place(mark, YamlNode::Kind::kSequence, anchor, tag, "", true), mark);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    Open(Place(mark, YamlNode::Kind::kMap, anchor, tag, "", true), mark);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Level {
    YamlValue* value;
    bool has_key = false;
    std::string key;
  };

  void Refuse(const YAML::Mark& mark, std::string why) {
    if (!refusal_.empty()) return;
    refusal_ = std::move(why);
    refusal_line_ = mark.line + 1;
  }

  void Open(YamlValue* value, const YAML::Mark& mark) {
    if (value == nullptr) return;
    if (std::cmp_greater_equal(levels_.size(), limits_.max_depth)) {
      return Refuse(mark, "nested deeper than " + std::to_string(limits_.max_depth) + " levels");
    }
    levels_.push_back({value, false, ""});
  }
  void Close() {
    if (refusal_.empty()) levels_.pop_back();
  }

  YamlValue* Place(const YAML::Mark& mark, YamlNode::Kind kind, YAML::anchor_t anchor,
                   const std::string& tag, const std::string& text, bool plain) {
    if (!refusal_.empty()) return nullptr;
    if (anchor != 0) {
      Refuse(mark, "anchors are not supported: write the value out");
    } else if (!tag.empty() && tag != "?" && tag != "!") {
      Refuse(mark, "tags are not supported: " + Quoted(tag));
    } else if (++nodes_ > limits_.max_nodes) {
      Refuse(mark, "more than " + std::to_string(limits_.max_nodes) + " values");
    } else if (!IsText(text)) {
      Refuse(mark, "a text that is not valid UTF-8 or holds a zero byte");
    }
    if (!refusal_.empty()) return nullptr;

    if (levels_.empty()) {
      Fill(root_, mark, kind, text, plain);
      return root_;
    }
    Level& level = levels_.back();
    auto& parent = *level.value;
    if (parent.kind == YamlNode::Kind::kSequence) {
      parent.items.push_back(std::make_unique<YamlValue>());
      Fill(parent.items.back().get(), mark, kind, text, plain);
      return parent.items.back().get();
    }
    if (!level.has_key) {
      if (kind != YamlNode::Kind::kScalar || text.empty()) {
        Refuse(mark, "a key must be a text");
      } else if (!keys_.emplace(level.value, text).second) {
        Refuse(mark, "key " + Quoted(text) + " is there twice");
      }
      level.has_key = true;
      level.key = text;
      return nullptr;
    }
    level.has_key = false;
    parent.entries.emplace_back(std::move(level.key), std::make_unique<YamlValue>());
    Fill(parent.entries.back().second.get(), mark, kind, text, plain);
    return parent.entries.back().second.get();
  }

  static void Fill(YamlValue* value, const YAML::Mark& mark, YamlNode::Kind kind,
                   const std::string& text, bool plain) {
    value->kind = kind;
    value->line = mark.line + 1;
    value->text = text;
    value->plain = plain;
  }

  const Yaml::Limits& limits_;
  YamlValue* root_;
  std::vector<Level> levels_;
  std::set<std::pair<const YamlValue*, std::string>> keys_;
  std::size_t nodes_ = 0;
  std::string refusal_;
  int refusal_line_ = 0;
};

/// Edits between two words, neighbours swapped counting once (optimal string alignment).
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      now[j] =
          std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        now[j] = std::min(now[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(now);
  }
  return last[b.size()];
}

void FindUnknown(const YamlValue& value, const std::string& path, YamlContent* content) {
  if (value.kind == YamlNode::Kind::kSequence) {
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      FindUnknown(*value.items[i], path + "[" + std::to_string(i) + "]", content);
    }
    return;
  }
  // What already has a problem of its own is not taken apart further.
  const auto& problems = content->problems;
  if (std::any_of(problems.begin(), problems.end(),
                  [&](const Problem& p) { return p.path == path; }) &&
      value.known.empty()) {
    return;
  }
  for (const auto& [key, entry] : value.entries) {
    const std::string inner = path.empty() ? key : path + "." + key;
    if (!value.all_known &&
        std::find(value.known.begin(), value.known.end(), key) == value.known.end()) {
      content->problems.push_back(
          {entry->line, inner, "unknown key" + Suggestion(key, value.known)});
    } else {
      FindUnknown(*entry, inner, content);
    }
  }
}

void MakeAllKnown(const YamlValue& value) {
  value.all_known = true;
  for (const auto& [key, entry] : value.entries) MakeAllKnown(*entry);
  for (const auto& item : value.items) MakeAllKnown(*item);
}

void AppendJsonText(std::string_view text, std::string* out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out->push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (byte < 0x20) {
      *out += "\\u00";
      out->push_back(kHex[byte >> 4]);
      out->push_back(kHex[byte & 15]);
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

void AppendJson(const YamlValue& value, std::string* out) {
  switch (value.kind) {
    case YamlNode::Kind::kMissing:
    case YamlNode::Kind::kNull:
      *out += "null";
      return;
    case YamlNode::Kind::kScalar: {
      if (const auto flag = ToBool(value.text, value.plain)) {
        *out += *flag ? "true" : "false";
      } else if (const auto whole =
                     ToInteger(value.text, value.plain, std::numeric_limits<std::int64_t>::min(),
                               std::numeric_limits<std::int64_t>::max())) {
        *out += std::to_string(*whole);
      } else if (const auto number =
                     ToDouble(value.text, value.plain, std::numeric_limits<double>::lowest(),
                              std::numeric_limits<double>::max())) {
        *out += NumberText(*number);
      } else {
        AppendJsonText(value.text, out);
      }
      return;
    }
    case YamlNode::Kind::kSequence:
      out->push_back('[');
      for (std::size_t i = 0; i < value.items.size(); ++i) {
        if (i > 0) out->push_back(',');
        AppendJson(*value.items[i], out);
      }
      out->push_back(']');
      return;
    case YamlNode::Kind::kMap:
      out->push_back('{');
      for (std::size_t i = 0; i < value.entries.size(); ++i) {
        if (i > 0) out->push_back(',');
        AppendJsonText(value.entries[i].first, out);
        out->push_back(':');
        AppendJson(*value.entries[i].second, out);
      }
      out->push_back('}');
      return;
  }
}

std::vector<std::string> Lines(YamlContent content_with_unknown) {
  auto& problems = content_with_unknown.problems;
  std::stable_sort(problems.begin(), problems.end(),
                   [](const Problem& a, const Problem& b) { return a.line < b.line; });
  std::vector<std::string> lines;
  for (const auto& problem : problems) {
    lines.push_back(content_with_unknown.name + ":" + std::to_string(problem.line) + ": " +
                    (problem.path.empty() ? "" : problem.path + ": ") + problem.text);
  }
  return lines;
}

Error Invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

template <typename T, typename Show>
Result<T> Within(T value, T min, T max, Show show) {
  if (value < min) return Invalid("must be at least " + show(min) + ", not " + show(value));
  if (value > max) return Invalid("must be at most " + show(max) + ", not " + show(value));
  return value;
}

}  // namespace

std::string Quoted(std::string_view text) {
  constexpr std::size_t kShown = 60;
  if (text.size() <= kShown) return "\"" + std::string(text) + "\"";
  std::size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return "\"" + std::string(text.substr(0, end)) + "...\"";
}

std::string Suggestion(std::string_view key, const std::vector<std::string>& known) {
  const std::string* nearest = nullptr;
  std::size_t least = std::max<std::size_t>(1, key.size() / 3) + 1;
  if (key.size() > 100) return "";
  for (const auto& candidate : known) {
    const std::size_t distance = EditDistance(key, candidate);
    if (distance < least) {
      least = distance;
      nearest = &candidate;
    }
  }
  return nearest == nullptr ? "" : "; did you mean " + Quoted(*nearest) + "?";
}

std::string ChoiceProblem(const std::vector<std::string>& choices, std::string_view text) {
  std::string list;
  for (const auto& choice : choices) list += (list.empty() ? "" : ", ") + choice;
  return "must be one of " + list + ", not " + Quoted(text) + Suggestion(text, choices);
}

Result<bool> ToBool(std::string_view text, bool plain) {
  if (plain && (text == "true" || text == "True" || text == "TRUE")) return true;
  if (plain && (text == "false" || text == "False" || text == "FALSE")) return false;
  return Invalid("must be true or false, not " + Quoted(text));
}

Result<std::int64_t> ToInteger(std::string_view text, bool plain, std::int64_t min,
                               std::int64_t max) {
  std::string_view digits = text;
  if (digits.size() > 1 && digits[0] == '+' && digits[1] != '-') digits.remove_prefix(1);
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = end == digits.data() + digits.size() && !digits.empty();
  if (plain && whole && failure == std::errc::result_out_of_range) {
    return Invalid("must be from " + std::to_string(min) + " to " + std::to_string(max) + ", not " +
                   Quoted(text));
  }
  if (!plain || !whole || failure != std::errc{}) {
    return Invalid("must be a whole number, not " + Quoted(text));
  }
  return Within(value, min, max, [](std::int64_t v) { return std::to_string(v); });
}

Result<double> ToDouble(std::string_view text, bool plain, double min, double max) {
  std::string_view digits = text;
  if (digits.size() > 1 && digits[0] == '+' && digits[1] != '-') digits.remove_prefix(1);
  double value = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (!plain || failure != std::errc{} || end != digits.data() + digits.size() ||
      !std::isfinite(value)) {
    return Invalid("must be a number, not " + Quoted(text));
  }
  return Within(value, min, max, NumberText);
}

Result<std::chrono::milliseconds> ToDuration(std::string_view text, std::chrono::milliseconds min,
                                             std::chrono::milliseconds max) {
  const auto value = ParseDuration(text);
  if (!value) return value;
  return Within(*value, min, max, FormatDuration);
}

Result<ByteCount> ToByteCount(std::string_view text, ByteCount min, ByteCount max) {
  const auto value = ParseByteCount(text);
  if (!value) return value;
  return Within(*value, min, max, FormatByteCount);
}

std::string NumberText(double value) {
  std::array<char, 32> text{};
  const auto [end, failure] = std::to_chars(text.data(), text.data() + text.size(), value);
  return std::string(text.data(), end);
}

}  // namespace internal

using internal::YamlContent;
using internal::YamlValue;

YamlNode::Kind YamlNode::kind() const { return value_ == nullptr ? Kind::kMissing : value_->kind; }

int YamlNode::line() const { return value_ != nullptr ? value_->line : parent_->line; }

void YamlNode::Fail(std::string_view problem) const {
  document_->problems.push_back({line(), path_, std::string(problem)});
}

YamlNode YamlNode::Field(std::string_view key) const {
  const std::string path = path_.empty() ? std::string(key) : path_ + "." + std::string(key);
  const YamlValue* here = value_ != nullptr ? value_ : parent_;
  if (kind() == Kind::kMap) {
    auto& known = value_->known;
    if (std::find(known.begin(), known.end(), key) == known.end()) known.emplace_back(key);
    for (const auto& [name, entry] : value_->entries) {
      if (name == key) return {document_, entry.get(), here, path};
    }
  } else if (kind() == Kind::kScalar || kind() == Kind::kSequence) {
    const auto& problems = document_->problems;
    // Asked key by key, one wrong place is still one problem.
    if (std::none_of(problems.begin(), problems.end(), [&](const internal::Problem& p) {
          return p.path == path_ && p.line == line();
        })) {
      Fail("must be a map of keys to values");
    }
  }
  return {document_, nullptr, here, path};
}

bool YamlNode::Has(std::string_view key) const { return Field(key).exists(); }

std::vector<std::pair<std::string, YamlNode>> YamlNode::Entries() const {
  std::vector<std::pair<std::string, YamlNode>> all;
  if (kind() == Kind::kScalar || kind() == Kind::kSequence) Fail("must be a map of keys to values");
  if (kind() != Kind::kMap) return all;
  value_->all_known = true;
  for (const auto& [key, entry] : value_->entries) {
    all.emplace_back(
        key, YamlNode(document_, entry.get(), value_, path_.empty() ? key : path_ + "." + key));
  }
  return all;
}

std::vector<YamlNode> YamlNode::Items() const {
  std::vector<YamlNode> all;
  if (kind() == Kind::kScalar || kind() == Kind::kMap) Fail("must be a list");
  if (kind() != Kind::kSequence) return all;
  for (std::size_t i = 0; i < value_->items.size(); ++i) {
    all.push_back(
        YamlNode(document_, value_->items[i].get(), value_, path_ + "[" + std::to_string(i) + "]"));
  }
  return all;
}

const std::string* YamlNode::Scalar(std::string_view wanted) const {
  switch (kind()) {
    case Kind::kMissing:
      return nullptr;
    case Kind::kNull:
      Fail("must be " + std::string(wanted) + ", not empty");
      return nullptr;
    case Kind::kSequence:
      Fail("must be " + std::string(wanted) + ", not a list");
      return nullptr;
    case Kind::kMap:
      Fail("must be " + std::string(wanted) + ", not a map");
      return nullptr;
    case Kind::kScalar:
      return &value_->text;
  }
  return nullptr;
}

namespace {

template <typename T, typename U>
bool Take(const YamlNode& node, const Result<U>& read, T* value) {
  if (!read) {
    node.Fail(read.error().message);
    return false;
  }
  *value = *read;
  return true;
}

}  // namespace

bool YamlNode::Get(std::string* value) const {
  const auto* text = Scalar("a text");
  if (text == nullptr) return false;
  *value = *text;
  return true;
}

bool YamlNode::Get(bool* value) const {
  const auto* text = Scalar("true or false");
  return text != nullptr && Take(*this, internal::ToBool(*text, value_->plain), value);
}

bool YamlNode::GetInteger(std::int64_t* value, std::int64_t min, std::int64_t max) const {
  const auto* text = Scalar("a whole number");
  return text != nullptr && Take(*this, internal::ToInteger(*text, value_->plain, min, max), value);
}

bool YamlNode::Get(double* value, double min, double max) const {
  const auto* text = Scalar("a number");
  return text != nullptr && Take(*this, internal::ToDouble(*text, value_->plain, min, max), value);
}

bool YamlNode::Get(std::chrono::milliseconds* value, std::chrono::milliseconds min,
                   std::chrono::milliseconds max) const {
  const auto* text = Scalar("a duration");
  return text != nullptr && Take(*this, internal::ToDuration(*text, min, max), value);
}

bool YamlNode::Get(ByteCount* value, ByteCount min, ByteCount max) const {
  const auto* text = Scalar("a size");
  return text != nullptr && Take(*this, internal::ToByteCount(*text, min, max), value);
}

bool YamlNode::Get(std::vector<std::string>* value) const {
  if (!exists()) return false;
  const std::size_t problems = document_->problems.size();
  std::vector<std::string> all;
  for (const auto& item : Items()) {
    std::string text;
    if (item.Get(&text)) all.push_back(std::move(text));
  }
  if (document_->problems.size() != problems) return false;
  *value = std::move(all);
  return true;
}

bool YamlNode::Get(std::vector<double>* value) const {
  if (!exists()) return false;
  const std::size_t problems = document_->problems.size();
  std::vector<double> all;
  for (const auto& item : Items()) {
    double number = 0;
    if (item.Get(&number)) all.push_back(number);
  }
  if (document_->problems.size() != problems) return false;
  *value = std::move(all);
  return true;
}

bool YamlNode::GetChoice(const std::vector<std::string>& choices, std::size_t* index) const {
  const auto* text = Scalar("a text");
  if (text == nullptr) return false;
  const auto found = std::find(choices.begin(), choices.end(), *text);
  if (found == choices.end()) {
    Fail(internal::ChoiceProblem(choices, *text));
    return false;
  }
  *index = static_cast<std::size_t>(found - choices.begin());
  return true;
}

std::string YamlNode::Json() const {
  if (value_ == nullptr) return "null";
  internal::MakeAllKnown(*value_);
  std::string json;
  internal::AppendJson(*value_, &json);
  return json;
}

Result<Yaml> Yaml::Parse(std::string_view text, std::string name, Limits limits) {
  if (text.size() > limits.max_bytes) {
    return internal::Invalid(name + ": " + std::to_string(text.size()) + " bytes; the limit is " +
                             std::to_string(limits.max_bytes));
  }
  auto content = std::make_unique<YamlContent>();
  content->name = name;
  content->root.kind = YamlNode::Kind::kMap;
  internal::Builder builder(&content->root, limits);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    const bool any = parser.HandleNextDocument(builder);
    if (any && content->root.kind == YamlNode::Kind::kNull && builder.refusal().empty()) {
      content->root.kind = YamlNode::Kind::kMap;  // Nothing but comments.
    }
    YamlValue second;
    internal::Builder rest(&second, limits);
    if (any && builder.refusal().empty() && parser.HandleNextDocument(rest)) {
      return internal::Invalid(name + ": more than one document");
    }
  } catch (const YAML::Exception& failure) {
    const int line = failure.mark.is_null() ? 1 : failure.mark.line + 1;
    return internal::Invalid(name + ":" + std::to_string(line) + ": not YAML: " + failure.msg);
  } catch (const std::exception& failure) {
    return internal::Invalid(name + ": not YAML: " + failure.what());
  }
  if (!builder.refusal().empty()) {
    return internal::Invalid(name + ":" + std::to_string(builder.refusal_line()) + ": " +
                             builder.refusal());
  }
  return Yaml(std::move(content));
}

Yaml::Yaml(std::unique_ptr<YamlContent> content) : content_(std::move(content)) {}
Yaml::Yaml(Yaml&&) noexcept = default;
Yaml& Yaml::operator=(Yaml&&) noexcept = default;
Yaml::~Yaml() = default;

YamlNode Yaml::Root() { return {content_.get(), &content_->root, &content_->root, ""}; }

std::vector<std::string> Yaml::Problems() const {
  YamlContent with_unknown;
  with_unknown.name = content_->name;
  with_unknown.problems = content_->problems;
  internal::FindUnknown(content_->root, "", &with_unknown);
  return internal::Lines(std::move(with_unknown));
}

Result<void> Yaml::Finish() const {
  std::string message;
  for (const auto& line : Problems()) message += (message.empty() ? "" : "\n") + line;
  if (message.empty()) return {};
  return internal::Invalid(std::move(message));
}

}  // namespace tidewheel::config
