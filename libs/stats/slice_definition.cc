#include "tidewheel/stats/slice_definition.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

constexpr std::string_view kAnd = " & ";

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

void AppendQuoted(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 32) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(c));
      out += escaped;
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

/// Reads what AppendQuoted wrote; the check against another canonical string finds the rest.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::size_t at() const { return at_; }
  bool done() const { return at_ == text_.size(); }

  bool Take(std::string_view expected) {
    if (text_.substr(at_, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }

  bool TakeQuoted(std::string& out) {
    if (!Take("\"")) return false;
    while (at_ < text_.size() && text_[at_] != '"') {
      char c = text_[at_++];
      if (c == '\\') {
        if (at_ == text_.size()) return false;
        c = text_[at_++];
        if (c == 'x') {
          const int high = at_ + 1 < text_.size() ? Digit(text_[at_]) : -1;
          const int low = high >= 0 ? Digit(text_[at_ + 1]) : -1;
          if (low < 0) return false;
          c = static_cast<char>(high * 16 + low);
          at_ += 2;
        }
      }
      out += c;
    }
    return Take("\"");
  }

 private:
  static int Digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<SliceDefinition> SliceDefinition::Of(std::vector<SliceTerm> terms) {
  if (terms.empty() || terms.size() > kMaxTerms) {
    return Bad("a slice has 1 to " + std::to_string(kMaxTerms) + " terms, not " +
               std::to_string(terms.size()));
  }
  std::sort(terms.begin(), terms.end());
  SliceDefinition definition;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const SliceTerm& term = terms[i];
    if (term.column.empty()) return Bad("a slice names a column");
    if (term.column.size() > kMaxBytes || term.value.size() > kMaxBytes) {
      return Bad("a column's name and a value have at most " + std::to_string(kMaxBytes) +
                 " bytes");
    }
    if (i > 0 && terms[i - 1].column == term.column) {
      return Bad("a slice names column \"" + term.column + "\" twice");
    }
    if (i > 0) definition.canonical_ += kAnd;
    AppendQuoted(term.column, definition.canonical_);
    definition.canonical_ += '=';
    AppendQuoted(term.value, definition.canonical_);
  }
  definition.terms_ = std::move(terms);
  return definition;
}

Result<SliceDefinition> SliceDefinition::Parse(std::string_view canonical) {
  Reader reader(canonical);
  std::vector<SliceTerm> terms;
  bool good = true;
  do {
    SliceTerm term;
    good = reader.TakeQuoted(term.column) && reader.Take("=") && reader.TakeQuoted(term.value);
    terms.push_back(std::move(term));
  } while (good && terms.size() <= kMaxTerms && reader.Take(kAnd));
  if (!good || !reader.done()) {
    return Bad("a slice's definition breaks off at byte " + std::to_string(reader.at()));
  }
  auto definition = Of(std::move(terms));
  if (definition && definition->canonical() != canonical) {
    return Bad("a slice's definition is not canonical; it would be " + definition->canonical());
  }
  return definition;
}

std::string SliceDefinition::Fingerprint() const {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx",
                static_cast<unsigned long long>(StableHash(canonical_, 1)),
                static_cast<unsigned long long>(StableHash(canonical_, 2)));
  return text;
}

Result<NamedSlice> SliceBook::Put(const std::string& name, const SliceDefinition& definition) {
  const bool good =
      !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
      });
  if (!good) {
    return Bad("\"" + name.substr(0, 80) + "\" is not 1 to 64 of a-z, 0-9, '-', '_' and '.'");
  }
  auto& versions = versions_[name];
  if (versions.empty() || !(versions.back() == definition)) versions.push_back(definition);
  return NamedSlice{name, static_cast<int>(versions.size()), versions.back()};
}

Result<NamedSlice> SliceBook::Find(const std::string& name, int version) const {
  const auto found = versions_.find(name);
  if (found == versions_.end() || version < 0 ||
      static_cast<std::size_t>(version) > found->second.size()) {
    return Error{ErrorCode::kNotFound,
                 "there is no slice \"" + name.substr(0, 80) + "\"" +
                     (version > 0 ? " of version " + std::to_string(version) : std::string())};
  }
  const auto place = version == 0 ? found->second.size() : static_cast<std::size_t>(version);
  return NamedSlice{name, static_cast<int>(place), found->second[place - 1]};
}

std::vector<NamedSlice> SliceBook::List() const {
  std::vector<NamedSlice> list;
  for (const auto& [name, versions] : versions_) {
    list.push_back({name, static_cast<int>(versions.size()), versions.back()});
  }
  return list;
}

}  // namespace tidewheel::stats
