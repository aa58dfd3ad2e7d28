// What a client may send to a server with direct methods, as bytes on its socket. The first byte of
// the input says whether the beginning that every HTTP/2 client sends goes before the rest.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "must.h"
#include "tidewheel/log/log.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/server.h"

namespace {

using tidewheel::fuzz::Must;

constexpr std::string_view kBeginning("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);

/// Answers every call with its own message.
class Echo {
 public:
  Echo() {
    tidewheel::log::Initialise("fuzz", tidewheel::log::Level::kError);
    tidewheel::rpc::ServerOptions options;
    options.listen = {"unix:" + path_};
    options.max_message = tidewheel::config::KiB(64);
    options.direct_methods = {
        {.path = "/a/b",
         .handle =
             [](const std::shared_ptr<tidewheel::rpc::DirectCall>& call) {
               call->Answer(tidewheel::rpc::MessageParts::Of(std::string(call->message())));
             },
         .align_at = [](std::string_view beginning) { return beginning.size() / 2; }}};
    server_ = std::make_unique<tidewheel::rpc::Server>(options, metrics_);
    Must(server_->Start().ok());
  }
  int Connect() const {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path_.data(), path_.size());
    const int file = ::socket(AF_UNIX, SOCK_STREAM, 0);
    Must(file >= 0);
    Must(::connect(file, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    return file;
  }

 private:
  const std::string path_ = std::filesystem::temp_directory_path() /
                            ("tidewheel-fuzz-" + std::to_string(::getpid()) + ".sock");
  tidewheel::metrics::Registry metrics_{"fuzz"};
  std::unique_ptr<tidewheel::rpc::Server> server_;
};

void SendAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(file, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // The server has had enough.
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Echo echo;
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const int file = echo.Connect();
  if (data[0] % 8 != 0) SendAll(file, kBeginning);
  SendAll(file, input);
  ::shutdown(file, SHUT_WR);
  // Whatever came, the connection ends.
  char answer[16 * 1'024];
  while (::recv(file, answer, sizeof answer, 0) > 0) {
  }
  ::close(file);
  return 0;
}
