#include "tidewheel/rpc/direct_call.h"

#include <utility>

namespace tidewheel::rpc {

MessageParts MessageParts::Of(std::string text) {
  MessageParts message{.text = std::move(text)};
  message.parts.push_back({.at = 0, .size = message.text.size()});
  return message;
}

std::string_view MessageParts::View(std::size_t part) const {
  const Part& its = parts[part];
  return its.data.empty() ? std::string_view(text).substr(its.at, its.size) : its.data;
}

std::size_t MessageParts::size() const {
  std::size_t size = 0;
  for (const Part& part : parts) size += part.data.empty() ? part.size : part.data.size();
  return size;
}

std::string MessageParts::Joined() const {
  std::string joined;
  joined.reserve(size());
  for (std::size_t i = 0; i < parts.size(); ++i) joined += View(i);
  return joined;
}

}  // namespace tidewheel::rpc
