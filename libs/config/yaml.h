#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/config/units.h"

namespace tidewheel::config {

namespace internal {
struct YamlValue;
struct YamlContent;
}  // namespace internal

/// One place in a YAML document; cheap to copy, valid as long as its document. A place that is not
/// there is fine to ask: it has no entries, its reads change nothing, and only Require makes it a
/// problem. Mistakes of form are noted in the document with line and path ("classes[2].name") and
/// reported by Yaml::Finish().
class YamlNode {
 public:
  enum class Kind { kMissing, kNull, kScalar, kSequence, kMap };
  Kind kind() const;
  bool exists() const { return kind() != Kind::kMissing; }
  /// From 1; of the nearest parent when the node is missing.
  int line() const;
  const std::string& path() const { return path_; }

  /// The entry of a map; asking makes the key known. A problem when this is neither a map nor
  /// missing.
  YamlNode Field(std::string_view key) const;
  /// Whether the map has the key; asking makes it known.
  bool Has(std::string_view key) const;
  /// All entries of a map in the file's order; makes all keys known.
  std::vector<std::pair<std::string, YamlNode>> Entries() const;
  /// The elements of a sequence. A problem when this is neither a sequence nor missing.
  std::vector<YamlNode> Items() const;

  /// The value of a scalar; false (and a problem noted) when it has another form or is outside the
  /// limits, false without a problem when it is missing.
  bool Get(std::string* value) const;
  bool Get(bool* value) const;
  template <std::integral T>
  requires(!std::same_as<T, bool>) bool Get(T* value, T min = std::numeric_limits<T>::min(),
                                            T max = std::numeric_limits<T>::max()) const {
    constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
    const auto clamp = [](T limit) {
      return std::cmp_greater(limit, kMax) ? kMax : static_cast<std::int64_t>(limit);
    };
    std::int64_t wide = 0;
    if (!GetInteger(&wide, clamp(min), clamp(max))) return false;
    *value = static_cast<T>(wide);
    return true;
  }
  bool Get(double* value, double min = std::numeric_limits<double>::lowest(),
           double max = std::numeric_limits<double>::max()) const;
  bool Get(std::chrono::milliseconds* value,
           std::chrono::milliseconds min = std::chrono::milliseconds::zero(),
           std::chrono::milliseconds max = std::chrono::milliseconds::max()) const;
  bool Get(ByteCount* value, ByteCount min = {},
           ByteCount max = {std::numeric_limits<std::int64_t>::max()}) const;
  bool Get(std::vector<std::string>* value) const;
  bool Get(std::vector<double>* value) const;
  /// The index of the scalar in `choices`; a problem that lists them otherwise.
  bool GetChoice(const std::vector<std::string>& choices, std::size_t* index) const;

  /// Field(key).Get(value, limits...): the default stays when the key is missing.
  template <typename T, typename... Limits>
  bool Read(std::string_view key, T* value, Limits... limits) const {
    return Field(key).Get(value, limits...);
  }
  /// The same, and a missing key is a problem.
  template <typename T, typename... Limits>
  bool Require(std::string_view key, T* value, Limits... limits) const {
    const YamlNode field = Field(key);
    if (!field.exists()) {
      field.Fail("is needed");
      return false;
    }
    return field.Get(value, limits...);
  }
  template <typename E>
  bool ReadEnum(std::string_view key, E* value,
                const std::vector<std::pair<std::string, std::type_identity_t<E>>>& names) const {
    std::vector<std::string> choices;
    for (const auto& name : names) choices.push_back(name.first);
    std::size_t index = 0;
    if (!Field(key).GetChoice(choices, &index)) return false;
    *value = names[index].second;
    return true;
  }

  /// Notes a problem of the caller's own at this place: `node.Fail("must sum to 1")`.
  void Fail(std::string_view problem) const;

  /// This part of the document as compact JSON; plain scalars become null, booleans and numbers as
  /// YAML's core schema reads them. Makes everything in it known.
  std::string Json() const;

 private:
  friend class Yaml;
  YamlNode(internal::YamlContent* document, const internal::YamlValue* value,
           const internal::YamlValue* parent, std::string path)
      : document_(document), value_(value), parent_(parent), path_(std::move(path)) {}
  bool GetInteger(std::int64_t* value, std::int64_t min, std::int64_t max) const;
  const std::string* Scalar(std::string_view wanted) const;

  internal::YamlContent* document_;
  const internal::YamlValue* value_;   // Null: missing.
  const internal::YamlValue* parent_;  // The nearest one that exists, for line().
  std::string path_;
};

/// One YAML document, read strictly: doubled keys, anchors, aliases and tags of its own are
/// refused, its depth and number of nodes are bounded. For one thread.
class Yaml {
 public:
  struct Limits {
    std::size_t max_bytes = 1 << 20;
    std::size_t max_nodes = 100'000;
    int max_depth = 32;
  };

  /// `name` is what problems call the document ("traffic.yaml"). kInvalidArgument: not YAML, more
  /// than one document, or over a limit. An empty text is an empty map.
  static Result<Yaml> Parse(std::string_view text, std::string name, Limits limits);
  static Result<Yaml> Parse(std::string_view text, std::string name) {
    return Parse(text, std::move(name), Limits{});
  }
  Yaml(Yaml&&) noexcept;
  Yaml& operator=(Yaml&&) noexcept;
  ~Yaml();

  /// Valid until this document is destroyed.
  YamlNode Root();

  /// Every problem noted so far, and every key that nobody asked for, in one kInvalidArgument, in
  /// the order of lines: `traffic.yaml:12: classes[2].nmae: unknown key; did you mean "name"?`.
  Result<void> Finish() const;
  /// The same as separate lines; empty when all is well.
  std::vector<std::string> Problems() const;

 private:
  friend class YamlNode;
  friend class Reader;
  explicit Yaml(std::unique_ptr<internal::YamlContent> content);
  std::unique_ptr<internal::YamlContent> content_;
};

}  // namespace tidewheel::config
