#include "tidewheel/config/reader.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "tidewheel/config/internal/yaml_content.h"
#include "tidewheel/config/yaml.h"

extern char** environ;  // POSIX, unistd.h.

namespace tidewheel::config {
namespace {

std::string Upper(std::string_view key) {
  std::string name;
  for (const char c : key) {
    name +=
        c == '.' || c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

Environment ProcessEnvironment(const std::string& prefix) {
  Environment variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || !text.starts_with(prefix + "_")) continue;
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

std::vector<std::string> Parted(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    if (!part.empty()) parts.emplace_back(part);
    text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
  }
  return parts;
}

std::string Joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

}  // namespace

struct Reader::Sources {
  std::string name;  // Of the file; empty: none.
  std::string prefix;
  Environment environment;
  std::map<std::string, std::string> overrides;
  std::optional<Yaml> file;
  std::vector<std::string> problems;  // All but the file's own.
  std::vector<std::string> keys;
  std::vector<std::pair<std::string, std::string>> effective;

  std::string Variable(std::string_view key) const { return prefix + "_" + Upper(key); }

  YamlNode Node(std::string_view key) {
    YamlNode node = file->Root();
    while (true) {
      const auto dot = key.find('.');
      node = node.Field(key.substr(0, dot));
      if (dot == std::string_view::npos) return node;
      key = key.substr(dot + 1);
    }
  }

  /// A value from outside the file, with the words that say where it was.
  struct Given {
    std::string text;
    std::string where;
  };
  std::optional<Given> Outside(std::string_view key) const {
    if (const auto found = overrides.find(std::string(key)); found != overrides.end()) {
      return Given{found->second, "--set"};
    }
    const std::string variable = Variable(key);
    const auto found = environment.find(variable);
    if (found == environment.end() || found->second.empty()) return std::nullopt;
    return Given{found->second, variable};
  }

  void Problem(const std::string& where, std::string_view key, std::string_view text) {
    problems.push_back(where + ": " + std::string(key) + ": " + std::string(text));
  }

  /// `convert` reads a text from outside the file, `get` a place in the file.
  template <typename T, typename Convert, typename Get, typename Show>
  void Apply(std::string_view key, T* value, Convert convert, Get get, Show show) {
    keys.emplace_back(key);
    // The file is read even where the environment goes before it: its mistakes count, and its keys
    // are known.
    if (file) {
      T from_file = *value;
      if (get(Node(key), &from_file)) *value = std::move(from_file);
    }
    if (const auto given = Outside(key)) {
      if (auto converted = convert(given->text)) {
        *value = *std::move(converted);
      } else {
        Problem(given->where, key, converted.error().message);
      }
    }
    effective.emplace_back(key, show(*value));
  }
};

Reader::Reader(std::unique_ptr<Sources> sources) : sources_(std::move(sources)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

Reader Reader::FromFile(const std::string& path, const std::string& prefix) {
  if (path.empty()) return FromText("", "", prefix, ProcessEnvironment(prefix));
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(path, ignored);
  const bool opened = stream.is_open() && !folder;
  if (opened) text << stream.rdbuf();
  if (!opened || stream.bad()) {
    const std::string why = folder ? "is a folder" : std::strerror(errno);
    Reader reader = FromText("", "", prefix, ProcessEnvironment(prefix));
    reader.sources_->name = path;
    reader.sources_->problems.push_back(path + ": cannot be read: " + why);
    return reader;
  }
  return FromText(text.str(), path, prefix, ProcessEnvironment(prefix));
}

Reader Reader::FromText(const std::string& text, const std::string& name, const std::string& prefix,
                        Environment environment) {
  auto sources = std::make_unique<Sources>();
  sources->name = name;
  sources->prefix = prefix;
  sources->environment = std::move(environment);
  auto file = Yaml::Parse(text, name);
  if (file) {
    sources->file.emplace(std::move(*file));
  } else {
    sources->problems.push_back(file.error().message);
  }
  return Reader(std::move(sources));
}

void Reader::Override(const std::string& key, const std::string& value) {
  sources_->overrides[key] = value;
}

void Reader::Read(std::string_view key, std::string* value) {
  sources_->Apply(
      key, value, [](const std::string& text) -> Result<std::string> { return text; },
      [](const YamlNode& node, std::string* to) { return node.Get(to); },
      [](const std::string& now) { return now; });
}

void Reader::Read(std::string_view key, bool* value) {
  sources_->Apply(
      key, value, [](const std::string& text) { return internal::ToBool(text, true); },
      [](const YamlNode& node, bool* to) { return node.Get(to); },
      [](bool now) { return std::string(now ? "true" : "false"); });
}

void Reader::ReadInteger(std::string_view key, std::int64_t* value, std::int64_t min,
                         std::int64_t max) {
  sources_->Apply(
      key, value,
      [&](const std::string& text) { return internal::ToInteger(text, true, min, max); },
      [&](const YamlNode& node, std::int64_t* to) { return node.Get(to, min, max); },
      [](std::int64_t now) { return std::to_string(now); });
}

void Reader::Read(std::string_view key, double* value, double min, double max) {
  sources_->Apply(
      key, value, [&](const std::string& text) { return internal::ToDouble(text, true, min, max); },
      [&](const YamlNode& node, double* to) { return node.Get(to, min, max); },
      [](double now) { return internal::NumberText(now); });
}

void Reader::Read(std::string_view key, std::chrono::milliseconds* value,
                  std::chrono::milliseconds min, std::chrono::milliseconds max) {
  sources_->Apply(
      key, value, [&](const std::string& text) { return internal::ToDuration(text, min, max); },
      [&](const YamlNode& node, std::chrono::milliseconds* to) { return node.Get(to, min, max); },
      [](std::chrono::milliseconds now) { return FormatDuration(now); });
}

void Reader::Read(std::string_view key, ByteCount* value, ByteCount min, ByteCount max) {
  sources_->Apply(
      key, value, [&](const std::string& text) { return internal::ToByteCount(text, min, max); },
      [&](const YamlNode& node, ByteCount* to) { return node.Get(to, min, max); },
      [](ByteCount now) { return FormatByteCount(now); });
}

void Reader::ReadBytes(std::string_view key, std::size_t* value, std::size_t min, std::size_t max) {
  ByteCount count{*value};
  Read(key, &count, ByteCount{min}, ByteCount{max});
  *value = static_cast<std::size_t>(count.bytes);
}

void Reader::Read(std::string_view key, std::vector<std::string>* value) {
  sources_->Apply(
      key, value,
      [](const std::string& text) -> Result<std::vector<std::string>> { return Parted(text); },
      [](const YamlNode& node, std::vector<std::string>* to) { return node.Get(to); },
      [](const std::vector<std::string>& now) { return Joined(now); });
}

void Reader::ReadChoice(std::string_view key, const std::vector<std::string>& choices,
                        std::size_t* index) {
  sources_->Apply(
      key, index,
      [&](const std::string& text) -> Result<std::size_t> {
        const auto found = std::find(choices.begin(), choices.end(), text);
        if (found == choices.end()) {
          return Error{ErrorCode::kInvalidArgument, internal::ChoiceProblem(choices, text)};
        }
        return static_cast<std::size_t>(found - choices.begin());
      },
      [&](const YamlNode& node, std::size_t* to) { return node.GetChoice(choices, to); },
      [&](std::size_t now) { return now < choices.size() ? choices[now] : std::string(); });
}

void Reader::ReadSecret(std::string_view key, std::string* value) {
  sources_->Apply(
      key, value, [](const std::string& text) -> Result<std::string> { return text; },
      [](const YamlNode& node, std::string* to) { return node.Get(to); },
      [](const std::string& now) { return std::string(now.empty() ? "unset" : "set"); });
}

void Reader::Fail(std::string_view key, std::string_view problem) {
  if (const auto given = sources_->Outside(key)) {
    sources_->Problem(given->where, key, problem);
    return;
  }
  if (sources_->file) {
    const YamlNode node = sources_->Node(key);
    if (node.exists()) return node.Fail(problem);
  }
  sources_->Problem(sources_->name.empty() ? "settings" : sources_->name, key,
                    std::string(problem) + " (key " + internal::Quoted(key) + " or variable " +
                        sources_->Variable(key) + ")");
}

void Reader::Require(std::string_view key, const std::string& value) {
  if (value.empty()) Fail(key, "is needed");
}

Result<void> Reader::Finish() {
  std::vector<std::string> all;
  if (sources_->file) all = sources_->file->Problems();
  all.insert(all.end(), sources_->problems.begin(), sources_->problems.end());
  const auto& keys = sources_->keys;
  for (const auto& [key, value] : sources_->overrides) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    all.push_back("--set: " + key + ": unknown key" + internal::Suggestion(key, keys));
  }
  std::string message;
  for (const auto& problem : all) message += (message.empty() ? "" : "\n") + problem;
  if (message.empty()) return {};
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

const std::vector<std::pair<std::string, std::string>>& Reader::Effective() const {
  return sources_->effective;
}

std::vector<std::string> Reader::UnknownEnvironment() const {
  std::vector<std::string> unknown;
  for (const auto& [name, value] : sources_->environment) {
    if (!name.starts_with(sources_->prefix + "_")) continue;
    const bool known = std::any_of(sources_->keys.begin(), sources_->keys.end(),
                                   [&, &variable = name](const std::string& key) {
                                     return sources_->Variable(key) == variable;
                                   });
    if (!known) unknown.push_back(name);
  }
  return unknown;
}

}  // namespace tidewheel::config
