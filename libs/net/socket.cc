#include "tidewheel/net/socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <memory>

namespace tidewheel::net {
namespace {

constexpr int kBacklog = 1'024;

Error CannotBind(const std::string& address, const std::string& why) {
  return {ErrorCode::kUnavailable, "address " + address + " cannot be bound: " + why};
}

Result<Listener> Bound(Socket socket, const std::string& address, const sockaddr* name,
                       socklen_t length) {
  if (!socket.open() || ::bind(socket.file(), name, length) != 0 ||
      ::listen(socket.file(), kBacklog) != 0) {
    return CannotBind(address, std::strerror(errno));
  }
  return Listener{std::move(socket), address};
}

Result<Listener> ListenUnix(const std::string& address, const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof name.sun_path) {
    return Error{ErrorCode::kInvalidArgument, "address " + address + ": a path has 1 to " +
                                                  std::to_string(sizeof name.sun_path - 1) +
                                                  " characters"};
  }
  std::memcpy(name.sun_path, path.data(), path.size());
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode)) ::unlink(path.c_str());
  return Bound(Socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)), address,
               reinterpret_cast<const sockaddr*>(&name), sizeof name);
}

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this == &other) return *this;
  Close();
  file_ = other.Release();
  return *this;
}

void Socket::Close() {
  if (file_ >= 0) ::close(std::exchange(file_, -1));
}

Result<Listener> Listen(const std::string& address) {
  if (address.starts_with("unix:")) return ListenUnix(address, address.substr(5));
  const auto colon = address.rfind(':');
  const Error wrong{ErrorCode::kInvalidArgument, "address " + address + " must be HOST:PORT"};
  if (colon == std::string::npos || colon == 0) return wrong;
  const std::string number = address.substr(colon + 1);
  std::uint16_t asked = 0;
  const char* const end = number.data() + number.size();
  const auto parsed = std::from_chars(number.data(), end, asked);
  if (parsed.ec != std::errc() || parsed.ptr != end) return wrong;
  std::string host = address.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return wrong;
  }
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* found = nullptr;
  const int looked_up = ::getaddrinfo(host.c_str(), number.c_str(), &hints, &found);
  if (looked_up != 0) return CannotBind(address, ::gai_strerror(looked_up));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  // A name such as "localhost" stands for addresses of both kinds; clients ask the older one too.
  for (addrinfo* each = found; each != nullptr; each = each->ai_next) {
    if (each->ai_family != AF_INET) continue;
    found = each;
    break;
  }
  Socket socket(
      ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  const int on = 1;
  const int off = 0;
  ::setsockopt(socket.file(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // "[::]" is every address, of both kinds.
  if (found->ai_family == AF_INET6) {
    ::setsockopt(socket.file(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  auto listener = Bound(std::move(socket), address, found->ai_addr, found->ai_addrlen);
  if (!listener) return listener.error();
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  ::getsockname(listener->socket.file(), reinterpret_cast<sockaddr*>(&bound), &length);
  const auto port =
      ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                        : reinterpret_cast<const sockaddr_in&>(bound).sin_port);
  listener->address = address.substr(0, colon + 1) + std::to_string(port);
  return listener;
}

}  // namespace tidewheel::net
