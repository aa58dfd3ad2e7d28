// Any bytes as a tensor in binary form, of any datatype and shape: either an error that names the
// tensor, or a tensor whose every element lies within its bytes.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "must.h"
#include "tidewheel/inference/core/request_check.h"
#include "tidewheel/inference/core/tensor.h"
#include "tidewheel/inference/oip_http/infer_json.h"

namespace {

using tidewheel::fuzz::Must;
namespace inference = tidewheel::inference;

constexpr std::size_t kTypes = static_cast<std::size_t>(inference::DataType::kBytes) + 1;

// Elements of BYTES, one after another.
std::size_t CountStrings(std::string_view data) {
  std::size_t count = 0;
  while (!data.empty()) {
    std::uint32_t length = 0;
    Must(data.size() >= sizeof length);
    std::memcpy(&length, data.data(), sizeof length);
    Must(data.size() - sizeof length >= length);
    data.remove_prefix(sizeof length + length);
    ++count;
  }
  return count;
}

}  // namespace

// A byte for the datatype, one for the rank, so many sizes of eight bytes or of one, then the data.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto type = static_cast<inference::DataType>(data[0] % kTypes);
  const bool wide = (data[1] & 0x80) != 0;
  std::size_t rank = data[1] % 6;
  std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  std::vector<std::int64_t> shape;
  for (; rank > 0 && rest.size() >= (wide ? 8 : 1); --rank) {
    std::int64_t extent = 0;
    if (wide) {
      std::memcpy(&extent, rest.data(), sizeof extent);
    } else {
      extent = static_cast<signed char>(rest[0]);
    }
    shape.push_back(extent);
    rest.remove_prefix(wide ? 8 : 1);
  }

  const inference::Tensor tensor = inference::Tensor::Of("x", type, shape, std::string(rest));
  const auto checked = tensor.Check();
  const auto elements = inference::ElementCount(shape);
  if (!checked) {
    Must(checked.error().message.find("\"x\"") != std::string::npos);
  } else {
    Must(elements.ok());
    if (type == inference::DataType::kBytes) {
      Must(CountStrings(tensor.data) == *elements);
    } else {
      Must(tensor.data.size() == *elements * inference::ElementSize(type));
    }
  }

  // A model whose input may have any size: what fits it is what was checked.
  inference::ModelSpec spec;
  spec.name = "m";
  spec.max_batch_size = 4;
  spec.inputs = {{"x", type, std::vector<std::int64_t>(shape.empty() ? 1 : shape.size(), -1)}};
  spec.outputs = spec.inputs;
  inference::InferRequest request;
  request.model_name = "m";
  request.inputs.push_back(tensor);
  const auto rows = inference::FitToSpec(spec, request);
  if (rows) Must(checked.ok() && static_cast<std::int64_t>(*rows) == shape.front());

  // The same bytes as a body without JSON.
  const auto raw = inference::ReadRawCall(rest, spec, nullptr);
  if (raw) Must(raw->request.inputs.size() == 1);
  if (checked) {
    static const inference::SharedMemoryTable regions;
    inference::InferResponse answer;
    answer.outputs.push_back(tensor);
    (void)inference::WriteInferAnswer(answer, {}, regions);
  }
  return 0;
}
