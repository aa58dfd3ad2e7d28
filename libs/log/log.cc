#include "tidewheel/log/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <utility>

namespace tidewheel::log {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD.

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

void AppendQuoted(std::string_view text, std::string* out) {
  out->push_back('"');
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '\t') {
      *out += "\\t";
    } else if (c == '\r') {
      *out += "\\r";
    } else if (byte < 0x20 || byte == 0x7F) {
      *out += "\\u00";
      out->push_back(kHex[byte >> 4]);
      out->push_back(kHex[byte & 15]);
    } else if (byte < 0x80) {
      out->push_back(c);
    } else if (const std::size_t size = CharacterSize(text, at); size > 0) {
      out->append(text.substr(at, size));
      at += size;
      continue;
    } else {
      out->append(kReplacement);
    }
    ++at;
  }
  out->push_back('"');
}

template <typename T>
void AppendNumber(T value, std::string* out) {
  std::array<char, 32> text{};
  const auto [end, failure] = std::to_chars(text.data(), text.data() + text.size(), value);
  out->append(text.data(), end);
}

struct ValueWriter {
  std::string* out;
  void operator()(bool value) const { *out += value ? "true" : "false"; }
  void operator()(std::int64_t value) const { AppendNumber(value, out); }
  void operator()(std::uint64_t value) const { AppendNumber(value, out); }
  void operator()(double value) const {
    // JSON has no such numbers; a text keeps what happened.
    if (std::isnan(value)) {
      *out += "\"NaN\"";
    } else if (std::isinf(value)) {
      *out += value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    } else {
      AppendNumber(value, out);
    }
  }
  void operator()(const std::string& value) const { AppendQuoted(value, out); }
  void operator()(const std::vector<std::string>& values) const {
    out->push_back('[');
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i > 0) out->push_back(',');
      AppendQuoted(values[i], out);
    }
    out->push_back(']');
  }
};

/// Where lines go. The one thing of the process that everything may reach: a log that must be
/// handed around is a log that is missing where it is needed.
struct Output {
  std::atomic<Level> level{Level::kInfo};
  std::mutex mutex;  // Guards service.
  std::string service;
  std::shared_ptr<spdlog::logger> logger;

  Output() {
    try {
      logger = std::make_shared<spdlog::logger>("tidewheel",
                                                std::make_shared<spdlog::sinks::stderr_sink_mt>());
      logger->set_pattern("%v", spdlog::pattern_time_type::utc);
      logger->set_level(spdlog::level::trace);
      logger->set_error_handler(
          [](const std::string& /*message*/) {});  // A log has nobody to tell.
    } catch (const std::exception&) {
      logger = nullptr;
    }
  }
};

Output& TheOutput() {
  // Never destroyed: threads may log while the process ends.
  static auto* const output = new Output;
  return *output;
}

}  // namespace

std::string_view Name(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      return "error";
  }
  return "error";
}

Result<Level> ParseLevel(std::string_view text) {
  for (const Level level : {Level::kDebug, Level::kInfo, Level::kWarning, Level::kError}) {
    if (Name(level) == text) return level;
  }
  return ::tidewheel::Error{ErrorCode::kInvalidArgument,
                            "log level must be debug, info, warning or error, not \"" +
                                std::string(text.substr(0, 60)) + "\""};
}

Field::Field(std::string_view key, const ::tidewheel::Error& error)
    : key_(key), value_(std::string(::tidewheel::Name(error.code)) + ": " + error.message) {}

std::string JsonQuoted(std::string_view text) {
  std::string quoted;
  AppendQuoted(text, &quoted);
  return quoted;
}

std::string FormatLine(Timestamp time, Level level, std::string_view service,
                       std::string_view sentence, std::span<const Field> fields,
                       const Trace& trace) {
  std::string line;
  line.reserve(192);
  line += "{\"ts\":\"";
  line += FormatUtc(time);
  line += "\",\"level\":\"";
  line += Name(level);
  line += '"';
  const auto text = [&](std::string_view key, std::string_view value) {
    if (value.empty()) return;
    line += ",\"";
    line += key;
    line += "\":";
    AppendQuoted(value, &line);
  };
  text("service", service);
  line += ",\"msg\":";
  AppendQuoted(sentence, &line);
  for (const Field& field : fields) {
    line += ',';
    AppendQuoted(field.key(), &line);
    line += ':';
    std::visit(ValueWriter{&line}, field.value());
  }
  text("trace_id", trace.trace_id);
  text("request_id", trace.request_id);
  line += '}';
  return line;
}

void Initialise(std::string_view service, Level level) {
  Output& output = TheOutput();
  if (const char* wanted = std::getenv("TIDEWHEEL_LOG_LEVEL"); wanted != nullptr) {
    if (const auto parsed = ParseLevel(wanted)) level = *parsed;
  }
  output.level = level;
  const std::lock_guard lock(output.mutex);
  output.service = service;
}

bool Enabled(Level level) { return level >= TheOutput().level.load(std::memory_order_relaxed); }

void Write(Level level, std::string_view sentence, std::span<const Field> fields,
           const Trace& trace) {
  if (!Enabled(level)) return;
  try {
    Output& output = TheOutput();
    std::string service;
    {
      const std::lock_guard lock(output.mutex);
      service = output.service;
    }
    const auto now =
        std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    const std::string line = FormatLine(now, level, service, sentence, fields, trace);
    if (output.logger != nullptr) output.logger->info(spdlog::string_view_t(line));
  } catch (...) {
    // Out of memory, most likely: a lost line must not become a lost service.
  }
}

void Write(Level level, std::string_view sentence, std::span<const Field> fields) {
  if (!Enabled(level)) return;
  Write(level, sentence, fields, CurrentTrace());
}

void Debug(std::string_view sentence, std::initializer_list<Field> fields) {
  Write(Level::kDebug, sentence, std::span(fields.begin(), fields.size()));
}
void Info(std::string_view sentence, std::initializer_list<Field> fields) {
  Write(Level::kInfo, sentence, std::span(fields.begin(), fields.size()));
}
void Warning(std::string_view sentence, std::initializer_list<Field> fields) {
  Write(Level::kWarning, sentence, std::span(fields.begin(), fields.size()));
}
void Error(std::string_view sentence, std::initializer_list<Field> fields) {
  Write(Level::kError, sentence, std::span(fields.begin(), fields.size()));
}

int Fatal(const ::tidewheel::Error& error) {
  Error("the service cannot go on",
        {{"code", ::tidewheel::Name(error.code)}, {"error", error.message}});
  return 1;
}

}  // namespace tidewheel::log
