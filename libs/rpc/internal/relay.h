#pragma once

// Inside of this library: a call of any kind passed on to a gRPC server in the process.

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/client_callback.h>

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "tidewheel/rpc/internal/front_letter.h"

namespace tidewheel::rpc {

/// Thread-safe. What comes of it goes to the mailbox: kHeaders and kMessage in order, kWritten for
/// each message that was sent, kEnd at last.
class Relay final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  struct Target {
    std::shared_ptr<FrontMailbox> mailbox{};
    std::uint64_t connection = 0;
    std::int32_t stream = 0;
    /// Let go when the last of the relay is gone, the call's hold on the channel before it.
    std::shared_ptr<const void> ticket{};
  };
  static std::shared_ptr<Relay> Start(grpc::GenericStub& stub, const std::string& path,
                                      const HeaderList& headers,
                                      std::optional<std::chrono::system_clock::time_point> deadline,
                                      Target target);

  /// A message of the client's.
  void Send(grpc::ByteBuffer message);
  /// No more of them.
  void SendDone();
  /// Asks for one more message of the answer.
  void ReadNext();
  /// Nobody listens any more: ends it, if it has not ended.
  void Cancel();

  void OnReadInitialMetadataDone(bool ok) override;
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  explicit Relay(Target target) : target_(std::move(target)) {}
  FrontLetter LetterOf(FrontLetter::Kind kind) const;

  const Target target_;  // First: goes last.
  grpc::ClientContext context_;
  std::shared_ptr<Relay> self_;  // Until OnDone.

  std::mutex mutex_;  // Guards the rest.
  std::deque<grpc::ByteBuffer> waiting_;
  grpc::ByteBuffer in_;
  bool headers_told_ = false;
  bool message_waits_ = false;  // For the headers.
  bool reading_ = true;
  bool cancelled_ = false;
  bool writing_ = false;
  bool no_more_ = false;
  bool writes_done_ = false;
  bool ended_ = false;  // Nothing may be started any more.
};

}  // namespace tidewheel::rpc
