#pragma once

// Inside of this library: the messages in the data of an HTTP/2 stream, as gRPC frames them.

#include <grpcpp/support/status.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"

namespace tidewheel::rpc {

/// Bytes that grow, of which one offset can be had aligned to 64.
class AlignedBytes {
 public:
  /// Before anything is appended.
  void AlignAt(std::size_t offset) { shift_ = (kAlignment - offset % kAlignment) % kAlignment; }
  /// False: no memory.
  bool Reserve(std::size_t size);
  /// Room must have been reserved.
  void Append(std::string_view bytes);
  std::string_view view() const {
    return size_ == 0 ? std::string_view() : std::string_view(bytes_.get() + shift_, size_);
  }
  std::size_t size() const { return size_; }
  std::size_t room() const { return room_ - size_; }

 private:
  static constexpr std::size_t kAlignment = 64;
  struct Free {
    void operator()(char* bytes) const { std::free(bytes); }
  };
  std::unique_ptr<char, Free> bytes_;
  std::size_t shift_ = 0;
  std::size_t size_ = 0;
  std::size_t room_ = 0;
};

/// Takes messages out of data as it comes. Memory grows with what has come, never with what a
/// prefix announces alone.
class MessageReader {
 public:
  using AlignHook = std::size_t (*)(std::string_view beginning);
  MessageReader(std::size_t most_bytes, AlignHook align_at)
      : most_bytes_(most_bytes), align_at_(align_at) {}

  /// Uses up the beginning of `data`, to the end of a message at most. RESOURCE_EXHAUSTED: one of
  /// more than `most_bytes`; INTERNAL: a prefix that is none.
  grpc::Status Read(std::string_view& data);
  /// Whether a message is there to be taken.
  bool complete() const { return complete_; }
  /// Whether there is a part of a message.
  bool within() const { return prefix_size_ > 0; }
  /// Bytes kept at the moment.
  std::size_t held() const { return message_.size() + message_.room(); }
  /// The message; unpacked if it came packed. `coding` as of "grpc-encoding". Ready for the next.
  Result<AlignedBytes> Take(std::string_view coding);

 private:
  grpc::Status ReadPrefix(std::string_view& data);

  const std::size_t most_bytes_;
  const AlignHook align_at_;
  unsigned char prefix_[5] = {};
  std::size_t prefix_size_ = 0;
  std::size_t expected_ = 0;
  bool packed_ = false;
  bool complete_ = false;
  AlignedBytes message_;
};

/// Whether messages may come packed like this: "identity", "gzip", "deflate".
bool IsKnownCoding(std::string_view coding);

}  // namespace tidewheel::rpc
