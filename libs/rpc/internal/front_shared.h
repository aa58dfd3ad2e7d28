#pragma once

// Inside of this library: what the connections of a front have in common.

#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <nghttp2/nghttp2.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/net/socket.h"
#include "tidewheel/rpc/direct_call.h"
#include "tidewheel/rpc/internal/front.h"

namespace tidewheel::rpc {

/// What calls hold at the moment. Outlives the front in its last call.
struct FrontLoad {
  std::atomic<std::size_t> buffered_bytes{0};
  std::atomic<std::size_t> calls{0};  // Direct and relayed ones.

  void Leave() {
    if (calls.fetch_sub(1) == 1) calls.notify_all();
  }
  void WaitUntilLeft() const {
    while (const std::size_t left = calls.load()) calls.wait(left);
  }
  /// Counts a call until it is let go.
  static std::shared_ptr<const void> Enter(const std::shared_ptr<FrontLoad>& load) {
    load->calls.fetch_add(1);
    return {load.get(), [load](const void* /*itself*/) { load->Leave(); }};
  }
};

/// What all loops of a front share.
struct FrontShared {
  FrontShared(const FrontOptions& with, const std::vector<DirectMethod>& direct,
              DirectObserver& told, std::shared_ptr<grpc::Channel> channel);
  ~FrontShared();
  FrontShared(const FrontShared&) = delete;
  FrontShared& operator=(const FrontShared&) = delete;

  /// Null: it is not direct.
  const DirectMethod* Find(std::string_view path) const;

  const FrontOptions options;
  DirectObserver& observer;
  grpc::GenericStub others;
  std::map<std::string, const DirectMethod*, std::less<>> methods{};
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* session_options = nullptr;
  std::vector<net::Socket> listeners{};
  const std::shared_ptr<FrontLoad> load = std::make_shared<FrontLoad>();
  std::atomic<bool> stopping{false};
  std::atomic<std::size_t> next_loop{0};
};

}  // namespace tidewheel::rpc
