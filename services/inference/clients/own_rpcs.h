#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "tidewheel/inference/oip_http/oip_http_server.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace tidewheel::inference {

/// The platform's own rpcs over HTTP, asked of this process's own gRPC server, so that both ways
/// share queues, limits and all that follows an answer. JSON as at the console: the proto's field
/// names, every field, bytes in base64. Thread-safe; waits for no answer.
class OwnRpcs final : public PlatformRpcs {
 public:
  explicit OwnRpcs(std::chrono::milliseconds deadline = std::chrono::seconds(30))
      : deadline_(deadline) {}

  /// Where the gRPC server listens, once it does; until then calls are answered kUnavailable.
  void SetAddress(const std::string& address);

  void Handle(Call call, Answered answered) override;

 private:
  const std::chrono::milliseconds deadline_;
  std::mutex mutex_;  // Guards channel_.
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace tidewheel::inference
