#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "load.h"

namespace tidewheel::bench {
namespace {

using std::chrono::steady_clock;

constexpr int kPatienceMilliseconds = 20'000;

Error Failure(const std::string& what) {
  return {ErrorCode::kUnavailable, what + ": " + std::strerror(errno)};
}

/// A connection with at most one request under way.
class Connection {
 public:
  Connection() = default;
  ~Connection() {
    if (socket_ >= 0) close(socket_);
  }
  Connection(Connection&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  Connection& operator=(Connection&&) = delete;

  Result<void> Open(const std::string& address) {
    const auto colon = address.rfind(':');
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.c_str() + colon + 1)));
    inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket_ < 0 || connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
      return Failure("HTTP server " + address);
    }
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return {};
  }

  int socket() const { return socket_; }
  steady_clock::time_point began() const { return began_; }
  const std::string& answer() const { return answer_; }

  /// A request is far smaller than a socket's buffer: it never has to wait long.
  Result<void> Send(std::string_view request) {
    began_ = steady_clock::now();
    answer_.clear();
    wanted_ = 0;
    while (!request.empty()) {
      const auto sent = send(socket_, request.data(), request.size(), MSG_NOSIGNAL);
      if (sent <= 0) return Failure("sending over HTTP");
      request.remove_prefix(static_cast<std::size_t>(sent));
    }
    return {};
  }

  /// True: the answer is complete.
  Result<bool> Receive() {
    char bytes[16'384];
    const auto got = recv(socket_, bytes, sizeof bytes, 0);
    if (got <= 0) return Failure("receiving over HTTP");
    answer_.append(bytes, static_cast<std::size_t>(got));
    if (wanted_ == 0) {
      const auto end = answer_.find("\r\n\r\n");
      if (end == std::string::npos) return false;
      std::string head = answer_.substr(0, end);
      if (!head.starts_with("HTTP/1.1 200")) {
        return Error{ErrorCode::kInternal, "the HTTP server answers " + answer_.substr(0, 300)};
      }
      for (char& c : head) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      constexpr std::string_view kLength = "\r\ncontent-length:";
      auto at = head.find(kLength);
      if (at == std::string::npos) return Error{ErrorCode::kInternal, "no Content-Length"};
      at += kLength.size();
      while (at < head.size() && head[at] == ' ') ++at;
      std::size_t length = 0;
      std::from_chars(head.data() + at, head.data() + head.size(), length);
      wanted_ = end + 4 + length;
    }
    return answer_.size() >= wanted_;
  }

 private:
  int socket_ = -1;
  std::string answer_;
  std::size_t wanted_ = 0;
  steady_clock::time_point began_{};
};

class HttpClient final : public Load {
 public:
  HttpClient(std::string address, const std::string& path, const std::string& head,
             const std::string& body)
      : address_(std::move(address)),
        request_("POST " + path + " HTTP/1.1\r\nHost: bench\r\n" + head +
                 "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body) {}

  Result<std::string> Ask() override {
    if (auto done = Connect(1); !done) return done.error();
    const auto ran = Run(1, std::chrono::milliseconds(0));
    if (!ran) return ran.error();
    return connections_[0].answer();
  }

  Result<Burst> Run(int outstanding, std::chrono::milliseconds length) override {
    const auto count = static_cast<std::size_t>(outstanding);
    if (auto done = Connect(count); !done) return done.error();
    Burst burst;
    std::vector<pollfd> waiting(count);
    const auto began = steady_clock::now();
    for (std::size_t i = 0; i < count; ++i) {
      waiting[i] = {connections_[i].socket(), POLLIN, 0};
      if (auto sent = connections_[i].Send(request_); !sent) return sent.error();
    }
    std::size_t under_way = count;
    while (under_way > 0) {
      const int ready = poll(waiting.data(), waiting.size(), kPatienceMilliseconds);
      if (ready <= 0) return Error{ErrorCode::kDeadlineExceeded, "no answer over HTTP"};
      for (std::size_t i = 0; i < count; ++i) {
        if (waiting[i].revents == 0) continue;
        const auto complete = connections_[i].Receive();
        if (!complete) return complete.error();
        if (!*complete) continue;
        const auto now = steady_clock::now();
        burst.seconds.push_back(
            std::chrono::duration<double>(now - connections_[i].began()).count());
        if (now - began < length) {
          if (auto sent = connections_[i].Send(request_); !sent) return sent.error();
        } else {
          waiting[i].fd = -1;
          --under_way;
        }
      }
    }
    burst.took = std::chrono::duration<double>(steady_clock::now() - began).count();
    return burst;
  }

 private:
  Result<void> Connect(std::size_t count) {
    while (connections_.size() < count) {
      Connection fresh;
      if (auto opened = fresh.Open(address_); !opened) return opened;
      connections_.push_back(std::move(fresh));
    }
    return {};
  }

  const std::string address_;
  const std::string request_;
  std::vector<Connection> connections_;
};

}  // namespace

std::unique_ptr<Load> HttpLoad(const std::string& address, const std::string& path,
                               const std::string& head, const std::string& body) {
  return std::make_unique<HttpClient>(address, path, head, body);
}

}  // namespace tidewheel::bench
