#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstdlib>
#include <memory>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/oip_grpc/infer_codec.h"

namespace tidewheel::inference {

/// A request's message in one piece, put so that its first raw input is aligned for the widest
/// vectors: the one copy between the network and the model.
class MessageBytes {
 public:
  /// Valid as long as this is. kInvalidArgument: gRPC cannot give the bytes (a compression that
  /// it does not know). kResourceExhausted: no memory.
  Result<std::string_view> Gather(const grpc::ByteBuffer& message);

 private:
  struct Free {
    void operator()(char* bytes) const { std::free(bytes); }
  };
  std::unique_ptr<char, Free> bytes_;
};

/// What gRPC sends: small parts copied into one slice, large tensors where they lie, kept alive.
grpc::ByteBuffer ToByteBuffer(const EncodedAnswer& answer);
grpc::ByteBuffer ToByteBuffer(std::string_view message);

}  // namespace tidewheel::inference
