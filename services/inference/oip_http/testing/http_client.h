#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace tidewheel::inference::testing {

/// What came back, taken apart.
struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers{};  // Names in lower case.
  std::string body{};
};

/// One connection of a client that sends exactly what it is told.
class HttpClient {
 public:
  explicit HttpClient(const std::string& address, int receive_buffer = 0) {
    file_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval limit{60, 0};
    ::setsockopt(file_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (receive_buffer > 0) {
      ::setsockopt(file_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(
        static_cast<std::uint16_t>(std::atoi(address.substr(address.rfind(':') + 1).c_str())));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(file_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  ~HttpClient() { Close(); }
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  bool connected() const { return connected_; }
  void Close() {
    if (file_ >= 0) ::close(std::exchange(file_, -1));
  }
  bool Send(const std::string& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t wrote = ::send(file_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (wrote <= 0) return false;
      sent += static_cast<std::size_t>(wrote);
    }
    return true;
  }
  /// The next answer; nothing when the connection ends or nothing comes for a minute.
  std::optional<HttpAnswer> Read(bool head_only = false) {
    std::size_t end = 0;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
      if (!Fill()) return std::nullopt;
    }
    HttpAnswer answer;
    answer.status = std::atoi(received_.substr(9, 3).c_str());
    std::size_t at = received_.find("\r\n") + 2;
    while (at < end) {
      const std::size_t stop = received_.find("\r\n", at);
      const std::size_t colon = received_.find(": ", at);
      std::string name = received_.substr(at, colon - at);
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      answer.headers[name] = received_.substr(colon + 2, stop - colon - 2);
      at = stop + 2;
    }
    received_.erase(0, end + 4);
    if (head_only || answer.status == 100) return answer;
    const auto length =
        static_cast<std::size_t>(std::atoll(answer.headers["content-length"].c_str()));
    while (received_.size() < length) {
      if (!Fill()) return std::nullopt;
    }
    answer.body = received_.substr(0, length);
    received_.erase(0, length);
    return answer;
  }
  /// Whether the server closes without another byte.
  bool ReadsEnd() { return received_.empty() && !Fill() && received_.empty(); }

  static std::string Request(const std::string& method, const std::string& target,
                             const std::string& body = "", const std::string& headers = "") {
    std::string request = method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers;
    if (method == "POST") request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return request + "\r\n" + body;
  }
  HttpAnswer Call(const std::string& method, const std::string& target,
                  const std::string& body = "", const std::string& headers = "") {
    if (!Send(Request(method, target, body, headers))) return {};
    return Read(method == "HEAD").value_or(HttpAnswer{});
  }
  HttpAnswer Get(const std::string& target) { return Call("GET", target); }
  HttpAnswer Post(const std::string& target, const std::string& body,
                  const std::string& headers = "") {
    return Call("POST", target, body, headers);
  }

 private:
  bool Fill() {
    char buffer[16 * 1'024];
    const ssize_t read = ::recv(file_, buffer, sizeof buffer, 0);
    if (read <= 0) return false;
    received_.append(buffer, static_cast<std::size_t>(read));
    return true;
  }

  int file_ = -1;
  bool connected_ = false;
  std::string received_;
};

}  // namespace tidewheel::inference::testing
