#pragma once

// Inside of this library: what other threads tell a loop of a front.

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/net/mailbox.h"
#include "tidewheel/net/socket.h"
#include "tidewheel/rpc/direct_call.h"

namespace tidewheel::rpc {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

/// What is told to a stream of a connection, or to the loop itself.
struct FrontLetter {
  enum class Kind {
    kAnswer,    // Of a direct call: `message`.
    kHeaders,   // Of a relayed call: `headers`.
    kMessage,   // Of a relayed call: `buffer`.
    kWritten,   // A relayed call has passed one message on.
    kEnd,       // `status`, and of a relayed call `headers` as trailers.
    kAccepted,  // `accepted`: a new connection.
  };
  Kind kind = Kind::kEnd;
  std::uint64_t connection = 0;
  std::int32_t stream = 0;
  net::Socket accepted{};
  MessageParts message{};
  grpc::Status status{};
  HeaderList headers{};
  grpc::ByteBuffer buffer{};
};

using FrontMailbox = net::Mailbox<FrontLetter>;

}  // namespace tidewheel::rpc
