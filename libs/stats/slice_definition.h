#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// One condition: the column has the value.
struct SliceTerm {
  std::string column;
  std::string value;

  friend auto operator<=>(const SliceTerm&, const SliceTerm&) = default;
};

/// Which rows belong to a slice: those that meet every term. Two definitions with the same terms
/// are the same, however they were written; the canonical string is the definition.
class SliceDefinition {
 public:
  static constexpr std::size_t kMaxTerms = 8;
  static constexpr std::size_t kMaxBytes = 256;  // Of a column's name or a value.

  /// kInvalidArgument: no terms or more than kMaxTerms, a column named twice, a name that is empty
  /// or, like a value, longer than kMaxBytes.
  static Result<SliceDefinition> Of(std::vector<SliceTerm> terms);

  /// The inverse of canonical(), and nothing else: other spellings of the same are refused, so that
  /// equal slices are equal strings. kInvalidArgument tells at which byte.
  static Result<SliceDefinition> Parse(std::string_view canonical);

  const std::vector<SliceTerm>& terms() const { return terms_; }  // In the order of columns.

  /// "\"lamp\"=\"led\" & \"time\"=\"night\"": columns in order, quotes and backslashes escaped by a
  /// backslash, bytes below 32 as \xNN.
  const std::string& canonical() const { return canonical_; }

  /// 32 hexadecimal digits of the canonical string (two StableHash values): names a version of a
  /// slice in reports. Not a defence against somebody who wants two alike.
  std::string Fingerprint() const;

  friend bool operator==(const SliceDefinition& a, const SliceDefinition& b) {
    return a.canonical_ == b.canonical_;
  }

 private:
  SliceDefinition() = default;

  std::vector<SliceTerm> terms_;
  std::string canonical_;
};

struct NamedSlice {
  std::string name;
  int version = 0;  // From 1.
  SliceDefinition definition;
};

/// Slices that people speak of by name. A name whose definition changes gets a new version; the
/// versions before stay, so that an old report can be read. Not thread-safe.
class SliceBook {
 public:
  /// The slice under this name: the latest version if that is its definition, else a new one.
  /// kInvalidArgument: a name that is not 1 to 64 of a-z, 0-9, '-', '_', '.'.
  Result<NamedSlice> Put(const std::string& name, const SliceDefinition& definition);

  /// Version 0: the latest. kNotFound names the slice.
  Result<NamedSlice> Find(const std::string& name, int version = 0) const;

  /// The latest version of each, by name.
  std::vector<NamedSlice> List() const;

 private:
  std::map<std::string, std::vector<SliceDefinition>> versions_;
};

}  // namespace tidewheel::stats
