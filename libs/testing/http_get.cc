#include "tidewheel/testing/http_get.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace tidewheel::testing {

std::string HttpGet(const std::string& address, const std::string& path) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port =
      htons(static_cast<std::uint16_t>(std::atoi(address.substr(address.rfind(':') + 1).c_str())));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(connection, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) {
    const std::string request =
        "GET " + path + " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    if (send(connection, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
      char part[4'096];
      for (ssize_t got = 0; (got = recv(connection, part, sizeof part, 0)) > 0;) {
        answer.append(part, static_cast<std::size_t>(got));
      }
    }
  }
  close(connection);
  return answer;
}

}  // namespace tidewheel::testing
