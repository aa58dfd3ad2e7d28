#include <sys/socket.h>

#include <cstdio>
#include <string_view>

#include "tidewheel/base/build_identity.h"
#include "tidewheel/inference/torch_runner/runner.h"
#include "tidewheel/inference/torch_runner/wire/control.h"

/// Serves one foreign model to the process that started it: see README.md. Ends with it.
int main(int argc, char** argv) {
  if (argc > 1) {
    const bool version = std::string_view(argv[1]) == "--version";
    const std::string_view text =
        version ? tidewheel::CurrentBuild().version
                : "Runs one TorchScript or AOTInductor model; started by tidewheel-inference.";
    std::printf("%.*s\n", static_cast<int>(text.size()), text.data());
    return version || std::string_view(argv[1]) == "--help" ? 0 : 2;
  }
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(tidewheel::inference::torch_runner::kControlDescriptor, SOL_SOCKET, SO_TYPE, &type,
                 &size) != 0 ||
      type != SOCK_SEQPACKET) {
    std::fputs("tidewheel-torch-runner is started by tidewheel-inference\n", stderr);
    return 2;
  }
  return tidewheel::inference::ServeModel(tidewheel::inference::torch_runner::kControlDescriptor);
}
