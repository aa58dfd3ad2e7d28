#pragma once

// Inside of this library: a direct call that came by a front.

#include <grpcpp/support/status.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "tidewheel/net/aligned_bytes.h"
#include "tidewheel/rpc/direct_call.h"
#include "tidewheel/rpc/internal/front_letter.h"
#include "tidewheel/rpc/internal/front_shared.h"

namespace tidewheel::rpc {

/// A direct call. Its stream, and the whole front, may be gone before it.
class FrontCall final : public DirectCall {
 public:
  /// Where its answer goes.
  struct Target {
    std::shared_ptr<FrontMailbox> mailbox{};
    std::uint64_t connection = 0;
    std::int32_t stream = 0;
  };
  FrontCall(const DirectMethod& method, FrontShared& shared, net::AlignedBytes message,
            HeaderList headers, std::optional<std::chrono::system_clock::time_point> deadline,
            Target target);
  ~FrontCall() override;

  std::string_view message() const override { return message_.view(); }
  std::string_view Header(std::string_view key) const override;
  std::optional<std::chrono::system_clock::time_point> deadline() const override {
    return deadline_;
  }
  bool cancelled() const override { return cancelled_.load(std::memory_order_relaxed); }
  std::size_t came_with() const override { return came_with_; }

  void Answer(MessageParts message) override { End({}, std::move(message)); }
  void Refuse(const grpc::Status& status) override;

  void SetCancelled() { cancelled_.store(true, std::memory_order_relaxed); }
  void SetCameWith(std::size_t calls) { came_with_ = calls; }
  const DirectMethod& method() const { return method_; }

 private:
  void End(const grpc::Status& status, MessageParts message);

  const DirectMethod& method_;
  DirectObserver& observer_;
  const net::AlignedBytes message_;
  const HeaderList headers_;
  const std::optional<std::chrono::system_clock::time_point> deadline_;
  const Target target_;
  const std::shared_ptr<FrontLoad> load_;
  const std::size_t held_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::size_t came_with_ = 1;
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> answered_{false};
};

}  // namespace tidewheel::rpc
