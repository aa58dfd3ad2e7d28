#include "tidewheel/vision/preprocess_entries.h"

#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

namespace tidewheel::vision {
namespace {

Error Bad(const std::string& key, const std::string& value) {
  return {ErrorCode::kInvalidArgument,
          "preprocessing." + key + ": \"" + value.substr(0, 80) + "\" is not a value of it"};
}

template <typename Number>
bool Parse(std::string_view text, Number* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseList(std::string_view text, std::vector<double>* values) {
  values->clear();
  while (true) {
    const auto comma = text.find(',');
    double value = 0;
    if (!Parse(text.substr(0, comma), &value) || !std::isfinite(value)) return false;
    values->push_back(value);
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

std::string Join(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) {
    std::array<char, 32> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    if (!text.empty()) text.push_back(',');
    text.append(digits.data(), end);
  }
  return text;
}

}  // namespace

std::map<std::string, std::string> ToEntries(const PreprocessSpec& spec) {
  return {{"width", std::to_string(spec.width)},
          {"height", std::to_string(spec.height)},
          {"channels", std::to_string(spec.channels)},
          {"resize", std::string(Name(spec.resize))},
          {"mean", Join(spec.mean)},
          {"std", Join(spec.std)}};
}

Result<PreprocessSpec> FromEntries(const std::map<std::string, std::string>& entries) {
  PreprocessSpec spec;
  std::size_t known = 0;
  for (const auto& [key, value] : entries) {
    bool good = true;
    if (key == "width") {
      good = Parse(value, &spec.width);
    } else if (key == "height") {
      good = Parse(value, &spec.height);
    } else if (key == "channels") {
      good = Parse(value, &spec.channels);
    } else if (key == "resize") {
      const auto resize = ParseResize(value);
      good = resize.ok();
      if (good) spec.resize = *resize;
    } else if (key == "mean") {
      good = ParseList(value, &spec.mean);
    } else if (key == "std") {
      good = ParseList(value, &spec.std);
    } else {
      return Error{ErrorCode::kInvalidArgument,
                   "preprocessing." + key.substr(0, 80) + " is unknown"};
    }
    if (!good) return Bad(key, value);
    ++known;
  }
  if (known != 6) {
    return Error{ErrorCode::kInvalidArgument,
                 "preprocessing needs width, height, channels, resize, mean and std"};
  }
  if (const auto valid = spec.Validate(); !valid) return valid.error();
  return spec;
}

}  // namespace tidewheel::vision
