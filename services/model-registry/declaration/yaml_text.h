#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidewheel::model_registry {

/// A scalar that YAML reads back as the same string whatever is in it.
std::string Quoted(std::string_view text);
/// The shortest text that reads back as the same number.
std::string Number(double value);
/// "[0.1, 0.5]"
std::string Numbers(const std::vector<double>& values);
/// "["a", "b"]", each quoted.
std::string Texts(const std::vector<std::string>& values);

template <typename E>
const std::string& NameOf(E value, const std::vector<std::pair<std::string, E>>& names) {
  for (const auto& [name, each] : names) {
    if (each == value) return name;
  }
  return names.front().first;
}

}  // namespace tidewheel::model_registry
