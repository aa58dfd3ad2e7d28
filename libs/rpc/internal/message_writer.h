#pragma once

// Inside of this library: messages as the data of an HTTP/2 stream, as gRPC frames them.

#include <array>
#include <cstddef>
#include <deque>

#include "tidewheel/rpc/direct_call.h"

namespace tidewheel::rpc {

/// Frames messages, never packed, and writes them out in pieces of any size.
class MessageWriter {
 public:
  void Add(MessageParts message) { messages_.push_back(std::move(message)); }
  /// Whether all that was added has been written.
  bool empty() const { return messages_.empty(); }
  /// Writes what fits, and lets go of every message that is out.
  struct Written {
    std::size_t bytes = 0;
    std::size_t messages = 0;  // That ended in these bytes.
  };
  Written Write(char* to, std::size_t room);

 private:
  void Begin();

  std::deque<MessageParts> messages_;
  bool within_ = false;  // The first of them is under way.
  std::array<char, 5> prefix_{};
  std::size_t prefix_done_ = 0;
  std::size_t part_ = 0;
  std::size_t part_done_ = 0;
};

}  // namespace tidewheel::rpc
