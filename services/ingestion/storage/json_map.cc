#include "tidewheel/ingestion/storage/json_map.h"

#include <simdjson.h>

#include <array>
#include <charconv>
#include <cmath>

#include "tidewheel/log/log.h"

namespace tidewheel::ingestion {

std::string ToJson(const std::map<std::string, std::string>& texts) {
  std::string json = "{";
  for (const auto& [key, value] : texts) {
    if (json.size() > 1) json.push_back(',');
    json += log::JsonQuoted(key) + ":" + log::JsonQuoted(value);
  }
  return json + "}";
}

std::string ToJson(const std::map<std::string, double>& numbers) {
  std::string json = "{";
  for (const auto& [key, value] : numbers) {
    if (!std::isfinite(value)) continue;
    if (json.size() > 1) json.push_back(',');
    std::array<char, 32> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    json += log::JsonQuoted(key) + ":";
    json.append(digits.data(), end);
  }
  return json + "}";
}

std::map<std::string, std::string> TextsFromJson(std::string_view json) {
  std::map<std::string, std::string> texts;
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (parser.parse(json.data(), json.size()).get(object) != simdjson::SUCCESS) return texts;
  for (const auto [key, value] : object) {
    std::string_view text;
    if (value.get(text) == simdjson::SUCCESS) texts.emplace(key, text);
  }
  return texts;
}

std::map<std::string, double> NumbersFromJson(std::string_view json) {
  std::map<std::string, double> numbers;
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (parser.parse(json.data(), json.size()).get(object) != simdjson::SUCCESS) return numbers;
  for (const auto [key, value] : object) {
    double number = 0;
    if (value.get(number) == simdjson::SUCCESS) numbers.emplace(key, number);
  }
  return numbers;
}

}  // namespace tidewheel::ingestion
