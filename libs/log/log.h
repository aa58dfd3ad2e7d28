#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/error.h"
#include "tidewheel/base/result.h"
#include "tidewheel/log/trace.h"

/// JSON lines on stderr: `{"ts":...,"level":...,"service":...,"msg":...,<fields>,"trace_id":...}`.
/// Nothing here throws; every function may be called by any thread at any time, before Initialise
/// too.
namespace tidewheel::log {

enum class Level { kDebug, kInfo, kWarning, kError };

/// "debug", "info", "warning", "error".
std::string_view Name(Level level);
/// kInvalidArgument names the text and the four levels.
Result<Level> ParseLevel(std::string_view text);

/// A value beside the constant sentence. Durations become seconds (let the key end in `_seconds`),
/// timestamps RFC 3339, an Error "CODE: message". Strings are copied, invalid UTF-8 in them is
/// replaced.
class Field {
 public:
  Field(std::string_view key, bool value) : key_(key), value_(value) {}
  template <std::signed_integral T>
  Field(std::string_view key, T value) : key_(key), value_(static_cast<std::int64_t>(value)) {}
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) Field(std::string_view key, T value)
      : key_(key), value_(static_cast<std::uint64_t>(value)) {}
  template <std::floating_point T>
  Field(std::string_view key, T value) : key_(key), value_(static_cast<double>(value)) {}
  Field(std::string_view key, std::string_view value) : key_(key), value_(std::string(value)) {}
  Field(std::string_view key, const std::string& value) : key_(key), value_(value) {}
  Field(std::string_view key, const char* value)
      : key_(key), value_(std::string(value == nullptr ? "" : value)) {}
  template <typename Rep, typename Period>
  Field(std::string_view key, std::chrono::duration<Rep, Period> value)
      : key_(key), value_(std::chrono::duration<double>(value).count()) {}
  Field(std::string_view key, Timestamp value) : key_(key), value_(FormatUtc(value)) {}
  Field(std::string_view key, const ::tidewheel::Error& error);
  Field(std::string_view key, const std::vector<std::string>& values) : key_(key), value_(values) {}
  /// A StrongId.
  template <typename Id>
  requires requires(const Id& id) {
    { id.text() } -> std::convertible_to<std::string_view>;
  }
  Field(std::string_view key, const Id& id) : key_(key), value_(std::string(id.text())) {}
  /// A Digest.
  template <typename Hash>
  requires requires(const Hash& hash) {
    { hash.Hex() } -> std::convertible_to<std::string>;
  }
  Field(std::string_view key, const Hash& hash) : key_(key), value_(hash.Hex()) {}

  using Value = std::variant<bool, std::int64_t, std::uint64_t, double, std::string,
                             std::vector<std::string>>;
  std::string_view key() const { return key_; }
  const Value& value() const { return value_; }

 private:
  std::string_view key_;  // A literal, or at least alive for the call.
  Value value_;
};

/// Names the service of every later line and sets the level; the environment's TIDEWHEEL_LOG_LEVEL,
/// when it is a level, goes before `level`.
void Initialise(std::string_view service, Level level = Level::kInfo);

/// Whether lines of this level are written: ask before making costly fields.
bool Enabled(Level level);

/// `log::Info("batch ingested", {{"batch_id", id}, {"accepted", n}})`: a constant sentence, values
/// as fields. Never a payload, never a secret.
void Debug(std::string_view sentence, std::initializer_list<Field> fields = {});
/// A state changed.
void Info(std::string_view sentence, std::initializer_list<Field> fields = {});
/// The service healed itself.
void Warning(std::string_view sentence, std::initializer_list<Field> fields = {});
/// A person must act.
void Error(std::string_view sentence, std::initializer_list<Field> fields = {});
/// The same with as many fields as there are.
void Write(Level level, std::string_view sentence, std::span<const Field> fields);
/// The same for work that another thread than its own finishes: the trace is given.
void Write(Level level, std::string_view sentence, std::span<const Field> fields,
           const Trace& trace);

/// Logs the error and gives main its exit code, 1.
int Fatal(const ::tidewheel::Error& error);

/// One line as it would be written, without its end: what the console shows and tests read.
std::string FormatLine(Timestamp time, Level level, std::string_view service,
                       std::string_view sentence, std::span<const Field> fields,
                       const Trace& trace);

/// `text` as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD, one for each bad byte.
std::string JsonQuoted(std::string_view text);

}  // namespace tidewheel::log
