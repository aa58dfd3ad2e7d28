#include "tidewheel/rpc/internal/front_shared.h"

#include <utility>

namespace tidewheel::rpc {
namespace {

// Calls that a client may take back on one connection, each second.
constexpr std::uint64_t kMostResets = 20'000;

}  // namespace

FrontShared::FrontShared(const FrontOptions& with, const std::vector<DirectMethod>& direct,
                         DirectObserver& told, std::shared_ptr<grpc::Channel> channel)
    : options(with), observer(told), others(std::move(channel)) {
  for (const DirectMethod& method : direct) methods.emplace(method.path, &method);
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_option_new(&session_options);
  // Windows grow as messages are taken, not as they are received.
  nghttp2_option_set_no_auto_window_update(session_options, 1);
  nghttp2_option_set_no_closed_streams(session_options, 1);
  // Calls whose deadline passes are reset by their client: many, where a server is overloaded.
  nghttp2_option_set_stream_reset_rate_limit(session_options, kMostResets, kMostResets);
}

FrontShared::~FrontShared() {
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_option_del(session_options);
}

const DirectMethod* FrontShared::Find(std::string_view path) const {
  const auto found = methods.find(path);
  return found == methods.end() ? nullptr : found->second;
}

}  // namespace tidewheel::rpc
