#include "tidewheel/rpc/direct_call.h"

#include <utility>

namespace tidewheel::rpc {

MessageParts MessageParts::Of(std::string text) {
  MessageParts message{.text = std::move(text)};
  message.parts.push_back({.at = 0, .size = message.text.size()});
  return message;
}

std::size_t MessageParts::size() const {
  std::size_t size = 0;
  for (const Part& part : parts) size += part.data.empty() ? part.size : part.data.size();
  return size;
}

std::string MessageParts::Joined() const {
  std::string joined;
  joined.reserve(size());
  for (const Part& part : parts) {
    joined += part.data.empty() ? std::string_view(text).substr(part.at, part.size) : part.data;
  }
  return joined;
}

}  // namespace tidewheel::rpc
