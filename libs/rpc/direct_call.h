#pragma once

#include <grpcpp/support/status.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidewheel::rpc {

/// A message in parts that follow each other; the parts view `text` and memory of others.
struct MessageParts {
  std::string text{};
  struct Part {
    std::size_t at = 0;  // In `text`, when `data` is empty.
    std::size_t size = 0;
    std::string_view data{};
    std::shared_ptr<const void> owner{};  // Keeps `data` alive.
  };
  std::vector<Part> parts{};

  /// A message of `text` alone.
  static MessageParts Of(std::string text);
  std::size_t size() const;
  /// The bytes of parts[part].
  std::string_view View(std::size_t part) const;
  /// All of it in one piece.
  std::string Joined() const;
};

/// A unary call that reached its handler without gRPC's queues and threads in between: the bytes of
/// its message, and where it is answered, once, from any thread. One that is let go without an
/// answer is answered INTERNAL. Thread-safe.
class DirectCall {
 public:
  virtual ~DirectCall() = default;

  /// The request's message, uncompressed, as long as the call is.
  virtual std::string_view message() const = 0;
  /// What the client sent as metadata under `key`, in small letters; empty: nothing.
  virtual std::string_view Header(std::string_view key) const = 0;
  virtual std::optional<std::chrono::system_clock::time_point> deadline() const = 0;
  /// Whether nobody waits for the answer any more.
  virtual bool cancelled() const = 0;
  /// Direct calls that were read together, this one among them.
  virtual std::size_t came_with() const = 0;

  virtual void Answer(MessageParts message) = 0;
  /// With a status that is not OK.
  virtual void Refuse(const grpc::Status& status) = 0;
};

/// A method whose calls are direct.
struct DirectMethod {
  std::string path{};  // "/inference.GRPCInferenceService/ModelInfer".
  /// Called on a thread that serves many connections: must not block. Must not throw.
  std::function<void(std::shared_ptr<DirectCall>)> handle{};
  /// Says where in a message, of which it is given the beginning, lies what should be aligned for
  /// the widest vectors; 0 for "nothing". Null: nothing ever.
  std::size_t (*align_at)(std::string_view beginning) = nullptr;
};

}  // namespace tidewheel::rpc
