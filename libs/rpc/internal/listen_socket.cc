#include "tidewheel/rpc/internal/listen_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace tidewheel::rpc {
namespace {

constexpr int kBacklog = 1'024;

Error CannotBind(const std::string& address, const std::string& why) {
  return {ErrorCode::kUnavailable, "address " + address + " cannot be bound: " + why};
}

Result<std::pair<int, std::string>> ListenUnix(const std::string& address,
                                               const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof name.sun_path) {
    return CannotBind(
        address, "a path has 1 to " + std::to_string(sizeof name.sun_path - 1) + " characters");
  }
  std::memcpy(name.sun_path, path.data(), path.size());
  // Of a server that was killed.
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode)) ::unlink(path.c_str());
  const int file = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (file < 0 || ::bind(file, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
      ::listen(file, kBacklog) != 0) {
    const std::string why = std::strerror(errno);
    if (file >= 0) ::close(file);
    return CannotBind(address, why);
  }
  return std::pair(file, address);
}

}  // namespace

Result<std::pair<int, std::string>> Listen(const std::string& address) {
  if (address.starts_with("unix:")) return ListenUnix(address, address.substr(5));
  const auto colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size()) {
    return CannotBind(address, "it must be HOST:PORT");
  }
  std::string host = address.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* found = nullptr;
  const int looked_up = ::getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found);
  if (looked_up != 0) return CannotBind(address, ::gai_strerror(looked_up));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  // A name such as "localhost" stands for addresses of both kinds; clients ask the older one too.
  for (addrinfo* each = found; each != nullptr; each = each->ai_next) {
    if (each->ai_family != AF_INET) continue;
    found = each;
    break;
  }
  const int file =
      ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  const int on = 1;
  const int off = 0;
  ::setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // "[::]" is every address, of both kinds.
  if (found->ai_family == AF_INET6) {
    ::setsockopt(file, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  if (file < 0 || ::bind(file, found->ai_addr, found->ai_addrlen) != 0 ||
      ::listen(file, kBacklog) != 0) {
    const std::string why = std::strerror(errno);
    if (file >= 0) ::close(file);
    return CannotBind(address, why);
  }
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  ::getsockname(file, reinterpret_cast<sockaddr*>(&bound), &length);
  const auto port =
      ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                        : reinterpret_cast<const sockaddr_in&>(bound).sin_port);
  return std::pair(file, address.substr(0, colon + 1) + std::to_string(port));
}

}  // namespace tidewheel::rpc
