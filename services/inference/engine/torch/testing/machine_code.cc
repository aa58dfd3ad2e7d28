// The machine code of a hand-made AOTInductor package: what such packages export, without a
// compiler of theirs. Doubles one row of numbers; some first numbers ask for mischief instead, and
// the answer begins with the errno that came of it.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {

// Of LibTorch's C interface.
using Tensor = void*;
std::int32_t aoti_torch_get_data_ptr(Tensor tensor, void** pointer);
std::int32_t aoti_torch_get_numel(Tensor tensor, std::int64_t* count);
std::int32_t aoti_torch_delete_tensor_object(Tensor tensor);
std::int32_t aoti_torch_dtype_float32();
std::int32_t aoti_torch_device_type_cpu();
std::int32_t aoti_torch_empty_strided(std::int64_t rank, const std::int64_t* sizes,
                                      const std::int64_t* strides, std::int32_t type,
                                      std::int32_t device, std::int32_t index, Tensor* made);

using Status = std::int32_t;
using Container = void*;
constexpr Status kDone = 0;
int container_object = 0;

Status AOTInductorModelContainerCreateWithDevice(Container* container, std::size_t, const char*,
                                                 const char*) {
  *container = &container_object;
  return kDone;
}
Status AOTInductorModelContainerDelete(Container) { return kDone; }
Status AOTInductorModelContainerGetNumOutputs(Container, std::size_t* count) {
  *count = 1;
  return kDone;
}
Status AOTInductorModelContainerGetNumConstants(Container, std::size_t* count) {
  *count = 0;
  return kDone;
}
Status AOTInductorModelContainerGetConstantName(Container, std::size_t, const char** name) {
  *name = "";
  return kDone;
}
Status AOTInductorModelContainerGetConstantOriginalFQN(Container, std::size_t, const char** name) {
  *name = "";
  return kDone;
}
Status AOTInductorModelContainerGetConstantDtype(Container, std::size_t, std::int32_t* type) {
  *type = 0;
  return kDone;
}
Status AOTInductorModelContainerUpdateConstantBuffer(Container, void*, bool, bool) { return kDone; }
Status AOTInductorModelContainerUpdateInactiveConstantBuffer(Container, void*) { return kDone; }
Status AOTInductorModelContainerRunConstantFolding(Container, bool, void*, void*) { return kDone; }
Status AOTInductorModelContainerSwapConstantBuffer(Container) { return kDone; }
Status AOTInductorModelContainerGetCallSpec(Container, const char** in, const char** out) {
  constexpr char kLeaf[] = R"({"type": null, "context": null, "children_spec": []})";
  static char inputs[256];
  std::snprintf(inputs, sizeof inputs,
                R"([1, {"type": "builtins.tuple", "context": "null", "children_spec": [%s]}])",
                kLeaf);
  static char outputs[256];
  std::snprintf(outputs, sizeof outputs, "[1, %s]", kLeaf);
  *in = inputs;
  *out = outputs;
  return kDone;
}

static float Mischief(int kind) {
  errno = 0;
  switch (kind) {
    case 1:
      std::fputs("this model gives up\n", stderr);
      std::abort();
    case 2:
      std::raise(SIGSEGV);
      break;
    case 3:
      for (volatile int turns = 0;; turns = 1) {
      }
    case 4:
      if (socket(AF_INET, SOCK_STREAM, 0) >= 0) return -1;
      break;
    case 5: {
      const pid_t child = fork();
      if (child == 0) _exit(0);
      if (child > 0) return -1;
      break;
    }
    case 6:
      if (open("/etc/passwd", O_RDONLY) >= 0) return -1;
      break;
    case 7:
      if (open("/tmp/tidewheel-mischief", O_CREAT | O_RDWR, 0600) >= 0) return -1;
      break;
    case 8:
      execl("/bin/true", "true", static_cast<char*>(nullptr));
      break;
    case 9:
      if (kill(getppid(), SIGUSR1) == 0) return -1;
      break;
    default:
      break;
  }
  return static_cast<float>(errno);
}

Status AOTInductorModelContainerRun(Container, Tensor* inputs, std::size_t, Tensor* outputs,
                                    std::size_t, void*, void*) {
  std::int64_t count = 0;
  void* given = nullptr;
  if (aoti_torch_get_numel(inputs[0], &count) != 0) return 1;
  if (aoti_torch_get_data_ptr(inputs[0], &given) != 0) return 1;
  const std::int64_t stride = 1;
  void* made = nullptr;
  if (aoti_torch_empty_strided(1, &count, &stride, aoti_torch_dtype_float32(),
                               aoti_torch_device_type_cpu(), 0, &outputs[0]) != 0 ||
      aoti_torch_get_data_ptr(outputs[0], &made) != 0) {
    return 1;
  }
  const auto* from = static_cast<const float*>(given);
  auto* to = static_cast<float*>(made);
  for (std::int64_t i = 0; i < count; ++i) to[i] = 2 * from[i];
  // Numbers below zero ask for it.
  if (count > 0 && from[0] < 0) to[0] = Mischief(static_cast<int>(-from[0]));
  aoti_torch_delete_tensor_object(inputs[0]);
  inputs[0] = nullptr;  // Taken, as the caller sees by this.
  return kDone;
}
const char* AOTInductorGetLastError() { return ""; }

}  // extern "C"
