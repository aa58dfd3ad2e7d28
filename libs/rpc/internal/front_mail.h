#pragma once

// Inside of this library: how other threads reach the connections of a front's loop.

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

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
    kAccepted,  // `file`: a new connection.
  };
  Kind kind = Kind::kEnd;
  std::uint64_t connection = 0;
  std::int32_t stream = 0;
  int file = -1;
  MessageParts message{};
  grpc::Status status{};
  HeaderList headers{};
  grpc::ByteBuffer buffer{};
};

/// Outlives its loop in whoever still has something to say; what comes then is dropped.
class FrontMailbox {
 public:
  FrontMailbox();
  ~FrontMailbox();
  FrontMailbox(const FrontMailbox&) = delete;
  FrontMailbox& operator=(const FrontMailbox&) = delete;

  /// Thread-safe. On the loop's own thread it lies in local().
  void Put(FrontLetter letter);
  /// Thread-safe.
  void Wake() const;

  // The rest is for the loop's thread.
  void MoveHere();
  /// False: there are letters already; else Put wakes from now on.
  bool PrepareToSleep();
  void Awake() { asleep_.store(false, std::memory_order_relaxed); }
  /// Empties the event that wakes.
  void Quiet() const;
  void Take(std::vector<FrontLetter>* letters);
  std::vector<FrontLetter>& local() { return local_; }
  void Close();
  int event() const { return event_; }

 private:
  const int event_;
  std::vector<FrontLetter> local_;  // The loop's thread alone.
  std::atomic<bool> asleep_{false};
  std::atomic<bool> some_{false};
  std::mutex mutex_;  // Guards letters_ and closed_.
  std::vector<FrontLetter> letters_;
  bool closed_ = false;
};

}  // namespace tidewheel::rpc
