#pragma once

#include <map>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <tuple>
#include <vector>

namespace tidewheel::training {

/// What an array column holds; nulls in it are left out.
template <typename T>
std::vector<T> ArrayFrom(const pqxx::field& field) {
  std::vector<T> values;
  auto parser = field.as_array();
  for (auto [kind, text] = parser.get_next(); kind != pqxx::array_parser::done;
       std::tie(kind, text) = parser.get_next()) {
    if (kind != pqxx::array_parser::string_value) continue;
    T value{};
    pqxx::from_string(text, value);
    values.push_back(std::move(value));
  }
  return values;
}

template <typename T>
std::optional<T> Optional(const pqxx::field& field) {
  if (field.is_null()) return std::nullopt;
  return field.as<T>();
}

/// Two array columns of one length as a map; null ones are empty.
inline std::map<std::string, std::string> MapFrom(const pqxx::field& names,
                                                  const pqxx::field& texts) {
  std::map<std::string, std::string> map;
  if (names.is_null() || texts.is_null()) return map;
  const auto keys = ArrayFrom<std::string>(names);
  const auto values = ArrayFrom<std::string>(texts);
  for (std::size_t i = 0; i < keys.size() && i < values.size(); ++i) map[keys[i]] = values[i];
  return map;
}

}  // namespace tidewheel::training
