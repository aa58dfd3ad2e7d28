#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/inference/oip_http/http_message.h"
#include "tidewheel/net/aligned_bytes.h"
#include "tidewheel/net/mailbox.h"
#include "tidewheel/net/socket.h"

namespace tidewheel::inference::http {

struct Letter;
class Exchange;
/// Where answers for the connections of one thread arrive from others.
using Mailbox = net::Mailbox<Letter>;

/// The least of what a server of connections must know; the rest is the handler's.
struct ServerOptions {
  std::string listen = "127.0.0.1:0";
  std::size_t threads = 2;
  std::size_t max_connections = 4'096;
  HeadLimits head{};
  std::size_t max_body_bytes = std::size_t{64} << 20;
  std::size_t max_buffered_bytes = std::size_t{1} << 30;
  std::size_t max_requests = 4'096;
  std::chrono::milliseconds idle_timeout{75'000};
  std::chrono::milliseconds transfer_timeout{20'000};
  std::size_t least_bytes_per_second = 64 * 1'024;
  std::chrono::milliseconds drain{10'000};
  Counter& cut_off = Counter::None();
  Gauge& connections = Gauge::None();
};

/// What all threads of a server share.
struct Load {
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> requests{0};
  std::atomic<std::size_t> buffered_bytes{0};
};

/// One request, read in full, and where it is answered: once, from any thread. One that is let go
/// without an answer is answered 500.
class Exchange {
 public:
  /// Made by the server alone.
  Exchange(Head head, net::AlignedBytes body, std::uint64_t connection,
           std::shared_ptr<Mailbox> mailbox, std::shared_ptr<Load> load);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  const Head& head() const { return head_; }
  net::AlignedBytes& body() { return body_; }
  /// Takes more memory into account than the body has; it is given back with the exchange.
  void Account(std::size_t bytes);

  /// Whether the client has closed its connection, so that nobody waits for the answer.
  bool gone() const { return gone_.load(std::memory_order_relaxed); }
  void SetGone() { gone_.store(true, std::memory_order_relaxed); }

  void Answer(Response response);
  /// `make` is called on the thread of the connection.
  void Answer(std::function<Response()> make);

  std::chrono::steady_clock::time_point arrived() const { return arrived_; }

 private:
  const Head head_;
  net::AlignedBytes body_;
  const std::uint64_t connection_;
  const std::shared_ptr<Mailbox> mailbox_;
  const std::shared_ptr<Load> load_;
  const std::chrono::steady_clock::time_point arrived_ = std::chrono::steady_clock::now();
  std::size_t accounted_ = 0;
  std::atomic<bool> gone_{false};
  std::atomic<bool> answered_{false};
};

/// Called on a thread of the server, which waits for it: must not block. Must not throw.
using Handler = std::function<void(std::shared_ptr<Exchange>)>;
/// Words an answer that the server gives by itself: status and message.
using Refuser = std::function<Response(int status, const std::string& words)>;

/// HTTP/1.1 by a few threads, each with an epoll over its share of the connections. Answers are
/// given in the order of the requests of a connection; the next request is read when the one before
/// has been answered.
class Server {
 public:
  static Result<std::unique_ptr<Server>> Start(const ServerOptions& options, Handler handler,
                                               Refuser refuser);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  const std::string& address() const { return address_; }

 private:
  class Loop;
  Server(const ServerOptions& options, Handler handler, Refuser refuser);

  const ServerOptions options_;
  const Handler handler_;
  const Refuser refuser_;
  std::shared_ptr<Load> load_ = std::make_shared<Load>();
  std::string address_;
  net::Socket listener_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> next_loop_{0};
  std::vector<std::unique_ptr<Loop>> loops_;  // Last: their threads use the rest.
};

}  // namespace tidewheel::inference::http
