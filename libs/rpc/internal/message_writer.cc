#include "tidewheel/rpc/internal/message_writer.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace tidewheel::rpc {

void MessageWriter::Begin() {
  const auto size = static_cast<std::uint32_t>(messages_.front().size());
  prefix_ = {0, static_cast<char>(size >> 24), static_cast<char>(size >> 16),
             static_cast<char>(size >> 8), static_cast<char>(size)};
  within_ = true;
  prefix_done_ = 0;
  part_ = 0;
  part_done_ = 0;
}

MessageWriter::Written MessageWriter::Write(char* to, std::size_t room) {
  Written written;
  const auto put = [&](std::string_view bytes) {
    const std::size_t take = std::min(bytes.size(), room - written.bytes);
    std::memcpy(to + written.bytes, bytes.data(), take);
    written.bytes += take;
    return take;
  };
  while (written.bytes < room && !messages_.empty()) {
    if (!within_) Begin();
    if (prefix_done_ < prefix_.size()) {
      prefix_done_ += put(std::string_view(prefix_.data(), prefix_.size()).substr(prefix_done_));
    }
    const MessageParts& message = messages_.front();
    while (prefix_done_ == prefix_.size() && written.bytes < room && part_ < message.parts.size()) {
      const std::string_view bytes = message.View(part_);
      part_done_ += put(bytes.substr(part_done_));
      if (part_done_ < bytes.size()) break;
      ++part_;
      part_done_ = 0;
    }
    if (prefix_done_ == prefix_.size() && part_ == message.parts.size()) {
      messages_.pop_front();
      within_ = false;
      ++written.messages;
    }
  }
  return written;
}

}  // namespace tidewheel::rpc
