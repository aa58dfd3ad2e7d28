#include "tidewheel/inference/torch_runner/embedded_libtorch.h"

#include <dlfcn.h>

#include <fstream>

// The file's bytes between two symbols.
__asm__(
    ".pushsection .rodata\n"
    ".balign 16\n"
    "tidewheel_embedded_libtorch_begin:\n"
    ".incbin \"" EMBEDDED_LIBTORCH
    "\"\n"
    "tidewheel_embedded_libtorch_end:\n"
    ".popsection\n");

extern "C" {
extern const char tidewheel_embedded_libtorch_begin[];
extern const char tidewheel_embedded_libtorch_end[];
}

namespace tidewheel::inference {

Result<void> ProvideLibTorch(const std::filesystem::path& scratch) {
  if (dlopen("libtorch.so", RTLD_NOW | RTLD_GLOBAL) != nullptr) return {};
  const auto path = scratch / "libtorch.so";
  std::ofstream file(path, std::ios::binary);
  file.write(tidewheel_embedded_libtorch_begin,
             tidewheel_embedded_libtorch_end - tidewheel_embedded_libtorch_begin);
  file.close();
  if (!file || dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char* why = file ? dlerror() : "it cannot be written";
    return Error{ErrorCode::kUnavailable, path.string() + ": " + (why == nullptr ? "" : why)};
  }
  return {};
}

}  // namespace tidewheel::inference
