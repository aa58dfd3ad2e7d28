#include "tidewheel/metrics/exposer.h"

#include <netdb.h>
#include <prometheus/exposer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <exception>
#include <utility>

#include "tidewheel/base/worker.h"
#include "tidewheel/metrics/internal/families.h"

namespace tidewheel::metrics {
namespace {

/// Opens and closes a connection to the own port.
void Knock(const std::string& address) {
  const auto colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  addrinfo wanted{};
  wanted.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), address.c_str() + colon + 1, &wanted, &found) != 0) return;
  const int connection =
      socket(found->ai_family, found->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection >= 0) {
    (void)connect(connection, found->ai_addr, found->ai_addrlen);
    close(connection);
  }
  freeaddrinfo(found);
}

}  // namespace

struct Exposer::Endpoint {
  explicit Endpoint(const std::string& address) : exposer(address, 2) {}
  prometheus::Exposer exposer;
};

Exposer::Exposer(std::unique_ptr<Endpoint> endpoint, std::string address)
    : endpoint_(std::move(endpoint)), address_(std::move(address)) {}

Exposer::~Exposer() {
  // The HTTP server looks whether it should stop when a connection comes, or every two seconds.
  const std::string address = address_;
  Pause pause;
  const Worker knocking("knock", [&](std::stop_token stop) {
    do {
      Knock(address);
    } while (pause.Wait(stop, std::chrono::milliseconds(10)));
  });
  endpoint_.reset();
}

Result<std::unique_ptr<Exposer>> Exposer::Start(const std::string& address, Registry& registry) {
  const auto colon = address.rfind(':');
  unsigned port = 0;
  bool formed = colon != std::string::npos && colon > 0 && colon + 1 < address.size();
  if (formed) {
    const char* const first = address.data() + colon + 1;
    const char* const last = address.data() + address.size();
    const auto [end, failure] = std::from_chars(first, last, port);
    formed = failure == std::errc{} && end == last && port <= 65'535;
  }
  // The HTTP server takes a comma for one more address, and `s` or `r` after the port for TLS and
  // redirects.
  if (!formed || address.find_first_of(", +") != std::string::npos) {
    return Error{ErrorCode::kInvalidArgument,
                 "metrics address \"" + address + "\" is not of the form host:port"};
  }
  try {
    auto endpoint = std::make_unique<Endpoint>(address);
    endpoint->exposer.RegisterCollectable(registry.families_);
    const auto ports = endpoint->exposer.GetListeningPorts();
    if (ports.empty()) {
      return Error{ErrorCode::kUnavailable, "metrics address " + address + " cannot be bound"};
    }
    std::string bound = address.substr(0, colon + 1) + std::to_string(ports.front());
    return std::unique_ptr<Exposer>(new Exposer(std::move(endpoint), std::move(bound)));
  } catch (const std::exception& failure) {
    return Error{ErrorCode::kUnavailable,
                 "metrics address " + address + " cannot be bound: " + failure.what()};
  }
}

}  // namespace tidewheel::metrics
