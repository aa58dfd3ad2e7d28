#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/config/units.h"

namespace tidewheel::config {

/// Environment variables by name. An empty one counts as not set.
using Environment = std::map<std::string, std::string>;

/// Fills a service's settings from one YAML file and the environment, which goes before the file.
/// Each member already holds its default; a Read replaces it when the key is given. Keys nest with
/// dots: "postgres.dsn" is `dsn:` under `postgres:`, and TIDEWHEEL_INGESTION_POSTGRES_DSN. Problems
/// are gathered, and Finish() reports all of them at once. For one thread.
class Reader {
 public:
  /// An empty `path`: defaults and environment alone. A file that cannot be read is a problem that
  /// Finish() reports.
  static Reader FromFile(const std::string& path, const std::string& prefix);
  /// The same from text; `name` is what problems call it.
  static Reader FromText(const std::string& text, const std::string& name,
                         const std::string& prefix, Environment environment);
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;
  ~Reader();

  /// A value that goes before both (the command line's --set); before the key is read.
  void Override(const std::string& key, const std::string& value);

  void Read(std::string_view key, std::string* value);
  void Read(std::string_view key, bool* value);
  /// Limits are inclusive.
  template <std::integral T>
  requires(!std::same_as<T, bool>) void Read(std::string_view key, T* value,
                                             T min = std::numeric_limits<T>::min(),
                                             T max = std::numeric_limits<T>::max()) {
    std::int64_t wide = Clamped(*value);
    ReadInteger(key, &wide, Clamped(min), Clamped(max));
    *value = static_cast<T>(wide);
  }
  void Read(std::string_view key, double* value, double min = std::numeric_limits<double>::lowest(),
            double max = std::numeric_limits<double>::max());
  /// "250ms", "10s", "5m".
  void Read(std::string_view key, std::chrono::milliseconds* value,
            std::chrono::milliseconds min = std::chrono::milliseconds::zero(),
            std::chrono::milliseconds max = std::chrono::milliseconds::max());
  /// "16MiB".
  void Read(std::string_view key, ByteCount* value, ByteCount min = {},
            ByteCount max = {std::numeric_limits<std::int64_t>::max()});
  /// In the environment: parted by commas.
  void Read(std::string_view key, std::vector<std::string>* value);
  /// The same as "16MiB" into a plain number of bytes.
  void ReadBytes(std::string_view key, std::size_t* value, std::size_t min = 0,
                 std::size_t max = std::numeric_limits<std::int64_t>::max());
  /// One of the names: `reader.ReadEnum("bus", &cfg.bus, {{"postgres", Bus::kPostgres}, {"kafka",
  /// Bus::kKafka}})`.
  template <typename E>
  void ReadEnum(std::string_view key, E* value,
                const std::vector<std::pair<std::string, std::type_identity_t<E>>>& names) {
    std::vector<std::string> choices;
    std::size_t index = names.size();
    for (std::size_t i = 0; i < names.size(); ++i) {
      choices.push_back(names[i].first);
      if (names[i].second == *value) index = i;
    }
    ReadChoice(key, choices, &index);
    if (index < names.size()) *value = names[index].second;
  }
  /// A text that is never shown: Effective() says `set` or `unset`, problems do not quote it.
  void ReadSecret(std::string_view key, std::string* value);

  /// Says that something about a key is wrong beyond its form: "is needed", "must be less than
  /// `max`".
  void Fail(std::string_view key, std::string_view problem);
  /// Fail(key, "is needed") when the text is empty.
  void Require(std::string_view key, const std::string& value);

  /// All problems in one kInvalidArgument, one a line with file, line, key and limit; keys that
  /// nobody read are refused, with the nearest known one as a suggestion.
  Result<void> Finish();

  /// What holds now, in the order of reading, secrets as `set`/`unset`: for the log and
  /// --check-config.
  const std::vector<std::pair<std::string, std::string>>& Effective() const;
  /// Variables with the prefix that no key reads. Not refused: Kubernetes makes such names on its
  /// own.
  std::vector<std::string> UnknownEnvironment() const;

 private:
  struct Sources;
  explicit Reader(std::unique_ptr<Sources> sources);

  template <std::integral T>
  static std::int64_t Clamped(T value) {
    constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
    return std::cmp_greater(value, kMax) ? kMax : static_cast<std::int64_t>(value);
  }
  void ReadInteger(std::string_view key, std::int64_t* value, std::int64_t min, std::int64_t max);
  void ReadChoice(std::string_view key, const std::vector<std::string>& choices,
                  std::size_t* index);

  std::unique_ptr<Sources> sources_;
};

}  // namespace tidewheel::config
