#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/tensor.h"

namespace tidewheel::inference::torch_runner {

/// The runner's end of the control socket (SOCK_SEQPACKET): one message a packet.
inline constexpr int kControlDescriptor = 3;
inline constexpr std::size_t kMostMessageBytes = 64U << 10;

/// The first message, with two descriptors: the lanes' memory and the model's file.
struct LoadOrder {
  bool package = false;  // .pt2; else TorchScript.
  std::string device = "cpu";
  std::uint64_t threads = 1;
  std::uint64_t lanes = 1;
  std::uint64_t lane_bytes = 0;    // Of a request, and as many of an answer.
  std::uint64_t memory_bytes = 0;  // That the process may hold beyond what it starts with; 0: any.
  std::uint64_t spin_nanoseconds = 0;
  bool freeze = true;
  bool gradients = false;  // Serve the derivative instead of the answer.
  std::string scratch{};   // A folder that it may write to; empty: none.
  /// What the configuration says; empty: what the file says.
  std::vector<TensorSpec> inputs{};
  std::vector<TensorSpec> outputs{};

  std::string Print() const;
  static Result<LoadOrder> Parse(std::string_view message);
};

/// The answer to it: what is served, or why nothing is.
struct LoadReport {
  std::optional<Error> error{};
  std::vector<TensorSpec> inputs{};
  std::vector<TensorSpec> outputs{};
  bool batches = false;                   // The first size of all is the batch.
  std::vector<std::string> unconfined{};  // Guards that this machine does not have.

  std::string Print() const;
  static Result<LoadReport> Parse(std::string_view message);
};

/// Sends one packet with descriptors. kUnavailable: nobody is at the other end.
Result<void> SendMessage(int socket, std::string_view message, const std::vector<int>& descriptors);

struct ReceivedMessage {
  std::string bytes{};
  std::vector<int> descriptors{};  // Now the caller's.
};
/// Waits for one packet. With `descriptors` 0 any that come along are closed. kUnavailable: the
/// other end is gone.
Result<ReceivedMessage> ReceiveMessage(int socket, std::size_t descriptors);

}  // namespace tidewheel::inference::torch_runner
