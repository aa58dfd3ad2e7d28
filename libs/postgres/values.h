#pragma once

#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <string_view>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/digest.h"
#include "tidewheel/base/ids.h"

/// How our types travel through libpqxx. With this header `row["at"].as<Timestamp>()`,
/// `row["note"].as<std::optional<std::string>>()`, `row["id"].as<SampleId>()` and the same types as
/// parameters of exec_params work. A text parameter must hold no zero byte (libpqxx cuts it there):
/// check names at the API, and use Bytes or a BinaryArray where any byte may come.
namespace tidewheel::postgres {

/// A bytea parameter, sent as it is.
pqxx::binarystring Bytes(std::string_view bytes);
pqxx::binarystring Bytes(const Digest& digest);

/// The content of a bytea column that is not null. Throws as libpqxx does.
std::string BytesOf(const pqxx::field& field);

/// A bytea column of 32 bytes. Throws pqxx::conversion_error when it has another length.
Digest DigestOf(const pqxx::field& field);

/// Of PostgreSQL's ISO form, as sessions of Pool give it. kOutOfRange: infinity, before year 1,
/// after year 9999.
Result<Timestamp> ParseTimestamp(std::string_view text);

}  // namespace tidewheel::postgres

namespace pqxx {

template <>
struct string_traits<tidewheel::Timestamp> {
  static constexpr const char* name() noexcept { return "Timestamp"; }
  static constexpr bool has_null() noexcept { return false; }
  static bool is_null(const tidewheel::Timestamp&) { return false; }
  [[noreturn]] static tidewheel::Timestamp null() { internal::throw_null_conversion(name()); }
  static void from_string(const char text[], tidewheel::Timestamp& time);
  static std::string to_string(const tidewheel::Timestamp& time) {
    return tidewheel::FormatUtc(time);
  }
};

template <typename Tag>
struct string_traits<tidewheel::StrongId<Tag>> {
  static constexpr const char* name() noexcept { return "StrongId"; }
  static constexpr bool has_null() noexcept { return false; }
  static bool is_null(const tidewheel::StrongId<Tag>&) { return false; }
  [[noreturn]] static tidewheel::StrongId<Tag> null() { internal::throw_null_conversion(name()); }
  static void from_string(const char text[], tidewheel::StrongId<Tag>& id) {
    id = tidewheel::StrongId<Tag>(text);
  }
  static std::string to_string(const tidewheel::StrongId<Tag>& id) { return id.text(); }
};

template <>
struct string_traits<std::string_view> {
  static constexpr const char* name() noexcept { return "string_view"; }
  static constexpr bool has_null() noexcept { return false; }
  static bool is_null(std::string_view) { return false; }
  static std::string to_string(std::string_view text) { return std::string(text); }
};

}  // namespace pqxx
