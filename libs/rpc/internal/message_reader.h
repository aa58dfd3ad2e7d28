#pragma once

// Inside of this library: the messages in the data of an HTTP/2 stream, as gRPC frames them.

#include <grpcpp/support/status.h>

#include <cstddef>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/net/aligned_bytes.h"

namespace tidewheel::rpc {

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
  std::size_t held() const { return message_.capacity(); }
  /// The message; unpacked if it came packed. `coding` as of "grpc-encoding". Ready for the next.
  /// kResourceExhausted: more than `most_bytes` unpacked; kInternal: it cannot be unpacked.
  Result<net::AlignedBytes> Take(std::string_view coding);

 private:
  grpc::Status ReadPrefix(std::string_view& data);

  const std::size_t most_bytes_;
  const AlignHook align_at_;
  unsigned char prefix_[5] = {};
  std::size_t prefix_size_ = 0;
  std::size_t expected_ = 0;
  bool packed_ = false;
  bool complete_ = false;
  net::AlignedBytes message_;
};

/// Whether messages may come packed like this: "identity", "gzip", "deflate".
bool IsKnownCoding(std::string_view coding);

}  // namespace tidewheel::rpc
