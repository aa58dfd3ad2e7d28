#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "tidewheel/inference/core/model_server.h"
#include "tidewheel/inference/core/shared_memory.h"
#include "tidewheel/inference/oip_grpc/message_bytes.h"

namespace tidewheel::inference {

/// One ModelStreamInfer: up to `window` requests are worked on at once, and answered in their
/// order; fewer where answers are large, so that one who does not read them fills no memory.
/// Deletes itself when gRPC is done with it.
class InferStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  InferStream(grpc::CallbackServerContext& context, ModelServer& models,
              const SharedMemoryTable& regions, std::size_t window);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override { delete this; }

 private:
  static constexpr std::size_t kMostAnswerBytes = std::size_t{64} << 20;  // Of what waits.
  static constexpr std::size_t kFirstRequests = 8;  // Until an answer has shown its size.

  /// A request from its arrival until its answer is being written.
  struct Slot {
    MessageBytes message{};
    AnswerForm form{};
    std::string id{};
    grpc::ByteBuffer answer{};
    bool answered = false;
  };

  void Begin();
  void Answer(Slot& slot, Result<InferResponse> response);
  /// Changes what the lock guards, then does what is next.
  template <typename Change>
  void Step(Change change);
  /// With the lock held.
  bool MayReadLocked() const;

  ModelServer& models_;
  const SharedMemoryTable& regions_;
  const std::size_t window_;
  const std::chrono::system_clock::time_point deadline_;
  const std::string routing_key_;  // Of requests that say none.
  grpc::ByteBuffer message_;       // That is being read.
  grpc::ByteBuffer out_;           // That is being written.
  std::atomic<bool> broken_{false};

  std::mutex mutex_;  // Guards the rest.
  std::deque<std::unique_ptr<Slot>> slots_;
  std::size_t answer_bytes_ = kMostAnswerBytes / kFirstRequests;  // Of the last that was given.
  bool reading_ = true;                                           // Or looking at what was read.
  bool writing_ = false;
  bool ended_ = false;  // The client has said all.
  bool finished_ = false;
};

}  // namespace tidewheel::inference
