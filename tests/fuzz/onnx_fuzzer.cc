// Any bytes as an ONNX file: an error or a file that was looked through, never a crash; and what
// can be written in 8 bits is a file again.
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "must.h"
#include "tidewheel/ml/onnx/check.h"
#include "tidewheel/ml/onnx/quantize.h"

namespace {

using tidewheel::fuzz::Must;
namespace ml = tidewheel::ml;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto checked = ml::CheckOnnx(bytes, {}, {.bytes = 1 << 20, .nodes = 1'000});
  if (!checked) {
    Must(!checked.error().message.empty());
    return 0;
  }
  Must(!checked->joined.has_value());
  const auto tensors = ml::TensorsToObserve(bytes);
  if (!tensors || tensors->empty()) return 0;

  const auto observed = ml::WithObservedOutputs(bytes, *tensors);
  Must(observed.ok() && ml::CheckOnnx(*observed, {}).ok());
  std::map<std::string, ml::ActivationRange> ranges;
  for (const std::string& name : *tensors) ranges[name] = {.low = -1, .high = 2};
  const auto quantized = ml::QuantizeOnnx(bytes, ranges);
  if (quantized) Must(ml::CheckOnnx(*quantized, {}).ok());
  return 0;
}
