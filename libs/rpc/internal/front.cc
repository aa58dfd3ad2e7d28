#include "tidewheel/rpc/internal/front.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "tidewheel/net/socket.h"
#include "tidewheel/rpc/internal/front_connection.h"
#include "tidewheel/rpc/internal/front_loop.h"
#include "tidewheel/rpc/internal/front_shared.h"

namespace tidewheel::rpc {

Front::Front() = default;

Result<std::unique_ptr<Front>> Front::Start(const FrontOptions& options,
                                            const std::vector<DirectMethod>& methods,
                                            DirectObserver& observer,
                                            std::shared_ptr<grpc::Channel> others) {
  std::unique_ptr<Front> front(new Front());
  front->shared_ = std::make_unique<FrontShared>(options, methods, observer, std::move(others));
  FrontShared& shared = *front->shared_;
  FrontConnection::SetCallbacks(shared.callbacks);
  for (const std::string& address : options.listen) {
    auto listener = net::Listen(address);
    if (!listener) return listener.error();
    shared.listeners.push_back(std::move(listener->socket));
    front->addresses_.push_back(listener->address);
  }
  // The first accepts for all.
  for (std::size_t i = 0; i < std::max<std::size_t>(options.threads, 1); ++i) {
    front->loops_.push_back(std::make_unique<FrontLoop>(shared, front->loops_, i == 0));
  }
  for (const auto& loop : front->loops_) loop->Begin();
  return front;
}

Front::~Front() { Shutdown(); }

void Front::Shutdown() {
  if (shared_ == nullptr || shared_->stopping.exchange(true)) return;
  for (const auto& loop : loops_) loop->Wake();
  for (const auto& loop : loops_) loop->Join();
  // Handlers may still be at work on calls that nobody waits for any more. A relayed one must not
  // be the last that holds the channel: its end comes on a thread that the channel's end waits for.
  shared_->load->WaitUntilLeft();
  for (const std::string& address : addresses_) {
    if (address.starts_with("unix:")) ::unlink(address.substr(5).c_str());
  }
}

}  // namespace tidewheel::rpc
