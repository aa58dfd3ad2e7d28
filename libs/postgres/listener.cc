#include "tidewheel/postgres/listener.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "tidewheel/base/worker.h"
#include "tidewheel/postgres/failure.h"

namespace tidewheel::postgres {
namespace {

/// Collects what libpqxx hands out while it reads the socket.
class Receiver final : public pqxx::notification_receiver {
 public:
  Receiver(pqxx::connection_base& connection, const std::string& channel,
           std::vector<Notification>& arrived)
      : pqxx::notification_receiver(connection, channel), arrived_(arrived) {}

  void operator()(const std::string& payload, int /*backend_pid*/) override {
    arrived_.push_back({channel(), payload});
  }

 private:
  std::vector<Notification>& arrived_;
};

}  // namespace

struct Listener::Connection {
  Connection(const std::string& dsn, const std::vector<std::string>& channels,
             const std::string& application_name)
      : session(dsn, "", application_name) {
    for (const std::string& channel : channels) {
      receivers.push_back(std::make_unique<Receiver>(session, channel, arrived));
      arrived.push_back({channel, ""});
    }
  }

  std::vector<Notification> arrived;
  Session session;
  std::vector<std::unique_ptr<Receiver>> receivers;
};

Listener::Listener(std::string dsn, std::vector<std::string> channels, std::string application_name)
    : dsn_(std::move(dsn)),
      channels_(std::move(channels)),
      application_name_(std::move(application_name)),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (wake_fd_ < 0) std::abort();
}

Listener::~Listener() {
  connection_.reset();
  close(wake_fd_);
}

Result<std::vector<Notification>> Listener::Wait(std::stop_token stop,
                                                 std::chrono::milliseconds at_most) {
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  std::uint64_t earlier = 0;
  [[maybe_unused]] const auto drained = read(wake_fd_, &earlier, sizeof earlier);
  const std::stop_callback wake(stop, [this] {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(wake_fd_, &one, sizeof one);
  });
  try {
    if (!connection_) {
      connection_ = std::make_unique<Connection>(dsn_, channels_, application_name_);
    }
    for (;;) {
      connection_->session.get_notifs();
      if (!connection_->session.is_open()) throw pqxx::broken_connection();
      if (!connection_->arrived.empty() || stop.stop_requested()) break;

      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) break;
      pollfd waiting[2] = {{connection_->session.sock(), POLLIN, 0}, {wake_fd_, POLLIN, 0}};
      poll(waiting, 2, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
      if ((waiting[0].revents & (POLLERR | POLLHUP)) != 0) throw pqxx::broken_connection();
    }
    return std::exchange(connection_->arrived, {});
  } catch (...) {
    Failure failure = DescribeCurrentException(connection_ ? &connection_->session : nullptr);
    connection_.reset();
    Pause().Wait(stop, std::min(at_most, std::chrono::milliseconds(1000)));
    return std::move(failure.error);
  }
}

}  // namespace tidewheel::postgres
