#include "tidewheel/ml/onnx/internal/onnx_bytes.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <cstring>
#include <limits>

namespace tidewheel::ml {

Result<std::unique_ptr<onnx::ModelProto>> ParseOnnx(std::string_view bytes) {
  auto model = std::make_unique<onnx::ModelProto>();
  const bool read = bytes.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()) &&
                    model->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  if (!read) return Error{ErrorCode::kInvalidArgument, "ONNX model: cannot be read as one"};
  if (!model->has_graph()) {
    return Error{ErrorCode::kInvalidArgument, "ONNX model: there is no graph in it"};
  }
  return model;
}

Result<std::string> PrintOnnxModel(const onnx::ModelProto& model) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  bool written = false;
  {
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    written = model.ByteSizeLong() <= static_cast<std::size_t>(std::numeric_limits<int>::max()) &&
              model.SerializeToCodedStream(&coded);
  }
  if (!written) {
    return Error{ErrorCode::kResourceExhausted, "ONNX model: more than 2 GiB in one file"};
  }
  return bytes;
}

Result<std::vector<float>> FloatsOf(const onnx::TensorProto& tensor) {
  const auto wrong = [&](const char* what) {
    return Error{ErrorCode::kInvalidArgument, "tensor \"" + tensor.name() + "\" " + what};
  };
  if (tensor.data_type() != onnx::TensorProto::FLOAT ||
      tensor.data_location() == onnx::TensorProto::EXTERNAL) {
    return wrong("is not float32 inside the file");
  }
  std::size_t count = 1;
  constexpr std::size_t kMost = std::size_t{1} << 32;
  for (const auto size : tensor.dims()) {
    if (size < 0 || (size > 0 && count > kMost / static_cast<std::size_t>(size))) {
      return wrong("has no possible shape");
    }
    count *= static_cast<std::size_t>(size);
  }
  std::vector<float> numbers;
  if (!tensor.raw_data().empty()) {
    if (tensor.raw_data().size() != count * sizeof(float)) return wrong("is not as its shape says");
    numbers.resize(count);
    std::memcpy(numbers.data(), tensor.raw_data().data(), tensor.raw_data().size());
  } else {
    numbers.assign(tensor.float_data().begin(), tensor.float_data().end());
  }
  if (numbers.size() != count) return wrong("is not as its shape says");
  return numbers;
}

}  // namespace tidewheel::ml
