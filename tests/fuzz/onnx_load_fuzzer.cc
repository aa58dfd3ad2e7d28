// Any bytes as an ONNX file on the engine: an error, or a graph that answers zeros of a small shape
// or says why not.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "must.h"
#include "tidewheel/ml/onnx/check.h"
#include "tidewheel/serving/engine.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <dlfcn.h>

// The engine's thread pool looks for its view of the processors with RTLD_DEEPBIND, which the
// sanitizer ends a program for: symbols are bound as everywhere else here.
extern "C" void* __interceptor_dlopen(const char* name, int flags);  // NOLINT
extern "C" void* dlopen(const char* name, int flags) {
  return __interceptor_dlopen(name, flags & ~RTLD_DEEPBIND);
}

// A graph may ask for more memory than there is: that is an error, which the engine tells.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }  // NOLINT

// What the engine and its thread pool keep for each thread until the program ends.
extern "C" const char* __lsan_default_suppressions() {  // NOLINT
  return "leak:libtbb\nleak:libhwloc\nleak:libopenvino\n";
}
#endif
#endif

namespace {

using tidewheel::fuzz::Must;
namespace serving = tidewheel::serving;

const serving::Engine& TheEngine() {
  // Never destroyed: the engine's own threads may outlive the last input.
  static const auto* engine =
      serving::Engine::Create({.at_most_model_bytes = 1 << 20}).value().release();
  return *engine;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto graph = TheEngine().LoadGraph(bytes, {});
  if (!graph) {
    Must(!graph.error().message.empty());
    return 0;
  }
  // A loop may take as long as it likes before it ends itself.
  const auto checked = tidewheel::ml::CheckOnnx(bytes, {});
  const auto& operators = checked.value().operators;
  if (std::find(operators.begin(), operators.end(), "Loop") != operators.end()) return 0;
  constexpr std::int64_t kMostElements = 4'096;
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<std::string> payloads;
  for (const serving::Port& port : (*graph)->inputs()) {
    std::vector<std::int64_t> shape = port.shape;
    std::int64_t count = 1;
    for (std::int64_t& dimension : shape) {
      if (dimension < 0) dimension = 2;
      if (dimension > kMostElements) return 0;
      count *= dimension;
      if (count > kMostElements) return 0;
    }
    shapes.push_back(std::move(shape));
    // Zeros of each datatype, in the order of ElementType; a text is a length of none.
    constexpr std::size_t kBytes[] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8, 4};
    payloads.emplace_back(static_cast<std::size_t>(count) * kBytes[static_cast<int>(port.type)],
                          '\0');
  }
  std::vector<serving::TensorView> views;
  for (std::size_t i = 0; i < shapes.size(); ++i) views.push_back({shapes[i], payloads[i]});
  const auto answers = (*graph)->Infer(views);
  if (answers) Must(answers->size() == (*graph)->outputs().size());
  return 0;
}
