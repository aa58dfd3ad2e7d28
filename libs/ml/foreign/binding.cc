#include "tidewheel/ml/foreign/binding.h"

#include <algorithm>
#include <charconv>

namespace tidewheel::ml {
namespace {

constexpr std::size_t kMostMessage = 600;
constexpr std::size_t kMostPlace = 4'096;

std::string_view Trimmed(std::string_view line) {
  const std::size_t first = line.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
}

std::string Listed(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "\"" : ", \"") + name + "\"";
  return text.empty() ? "none" : text;
}

}  // namespace

std::optional<std::size_t> PlaceOf(std::string_view name) {
  const std::size_t mark = name.rfind("__");
  if (mark == std::string_view::npos || mark == 0) return std::nullopt;
  const std::string_view digits = name.substr(mark + 2);
  std::size_t place = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), place);
  if (digits.empty() || read.ec != std::errc{} || read.ptr != digits.data() + digits.size() ||
      place > kMostPlace) {
    return std::nullopt;
  }
  return place;
}

Result<std::vector<std::size_t>> BindNames(std::string_view what,
                                           const std::vector<std::string>& own, bool open,
                                           const std::vector<std::string>& names) {
  const auto refused = [&](const std::string& why) {
    return Error{ErrorCode::kInvalidArgument, why + "; the model's " + std::string(what) +
                                                  "s are " +
                                                  (open ? "not known before a call" : Listed(own))};
  };
  std::vector<std::size_t> places;
  for (const std::string& name : names) {
    const auto found = std::find(own.begin(), own.end(), name);
    if (found != own.end()) places.push_back(static_cast<std::size_t>(found - own.begin()));
  }
  if (places.size() < names.size()) {
    places.clear();
    for (const std::string& name : names) {
      if (const auto place = PlaceOf(name)) places.push_back(*place);
    }
  }
  if (places.size() < names.size()) {
    // As the field has it: names that mean nothing are in the model's order.
    places.clear();
    for (std::size_t i = 0; i < names.size(); ++i) places.push_back(i);
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (!open && places[i] >= own.size()) {
      return refused("there is no " + std::string(what) + " for \"" + names[i] + "\"");
    }
    if (std::count(places.begin(), places.end(), places[i]) > 1) {
      return refused("two names, one of them \"" + names[i] + "\", mean the same " +
                     std::string(what));
    }
  }
  return places;
}

std::size_t CountLeaves(std::string_view tree) {
  constexpr std::string_view kLeaf = "\"type\": null";
  std::size_t count = 0;
  for (std::size_t at = tree.find(kLeaf); at != std::string_view::npos;
       at = tree.find(kLeaf, at + 1)) {
    ++count;
  }
  return count;
}

std::string PointOf(std::string_view message) {
  std::string_view first;
  std::string_view last;
  while (!message.empty()) {
    const std::size_t end = std::min(message.find('\n'), message.size());
    const std::string_view line = Trimmed(message.substr(0, end));
    message.remove_prefix(std::min(end + 1, message.size()));
    if (line.empty()) continue;
    if (first.empty()) first = line;
    last = line;
    const bool says_it = line.starts_with("Unknown ") || line.starts_with("RuntimeError: ");
    if (says_it) return std::string(line.substr(0, kMostMessage));
  }
  // What the interpreter met stands behind the traceback, everything else before it.
  const bool traceback = first.find("failed in the TorchScript interpreter") != first.npos;
  return std::string((traceback ? last : first).substr(0, kMostMessage));
}

}  // namespace tidewheel::ml
