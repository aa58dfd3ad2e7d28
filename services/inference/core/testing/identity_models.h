#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tidewheel/inference/core/executor.h"
#include "tidewheel/inference/core/repository_server.h"

namespace tidewheel::inference::testing {

/// Answers its inputs under the names of its outputs, after a while if told so.
class IdentityExecutor final : public Executor {
 public:
  explicit IdentityExecutor(ModelSpec spec, std::chrono::milliseconds takes = {})
      : spec_(std::move(spec)), takes_(takes) {}

  const ModelSpec& spec() const override { return spec_; }
  bool may_block() const override { return takes_.count() > 0; }
  Result<std::vector<Tensor>> Execute(std::span<const Tensor> inputs) override {
    if (takes_.count() > 0) std::this_thread::sleep_for(takes_);
    std::vector<Tensor> outputs;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      outputs.push_back(Tensor::Of(spec_.outputs[i].name, inputs[i].type, inputs[i].shape,
                                   std::string(inputs[i].data)));
    }
    return outputs;
  }

 private:
  const ModelSpec spec_;
  const std::chrono::milliseconds takes_;
};

/// Inputs "x", "x1", ... of these types and sizes (rows are added), outputs "y", "y1", ... alike.
inline ModelSpec IdentitySpec(const std::string& name, const std::vector<DataType>& types,
                              std::int64_t width = -1, std::size_t max_batch_size = 64) {
  ModelSpec spec;
  spec.name = name;
  spec.version = "1";
  spec.platform = "tidewheel_identity";
  spec.max_batch_size = max_batch_size;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const std::string digit = i == 0 ? "" : std::to_string(i);
    spec.inputs.push_back({"x" + digit, types[i], {-1, width}});
    spec.outputs.push_back({"y" + digit, types[i], {-1, width}});
  }
  return spec;
}

/// Loads any folder `<name>/<version>` as the identity of one input FP32; a file `model.onnx` that
/// says "bad" cannot be loaded.
class IdentityLoader final : public ExecutorLoader {
 public:
  Result<std::unique_ptr<Executor>> Load(const ModelSource& source) override {
    const auto text = ReadWholeFile(source.folder / "model.onnx", 1'000);
    if (!text) return text.error();
    if (*text == "bad") return Error{ErrorCode::kInvalidArgument, "operator Frobnicate is unknown"};
    ModelSpec spec = IdentitySpec(source.name, {DataType::kFp32});
    spec.version = std::to_string(source.version);
    return std::make_unique<IdentityExecutor>(std::move(spec));
  }
};

/// Puts "identity_<datatype>" in lower case and "pair" (FP32 and BYTES).
inline Result<void> PutIdentityModels(RepositoryServer& server) {
  for (const DataType type :
       {DataType::kBool, DataType::kUint8, DataType::kUint16, DataType::kUint32, DataType::kUint64,
        DataType::kInt8, DataType::kInt16, DataType::kInt32, DataType::kInt64, DataType::kFp16,
        DataType::kBf16, DataType::kFp32, DataType::kFp64, DataType::kBytes}) {
    std::string name = "identity_";
    for (const char c : Name(type)) {
      name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    auto put = server.Put(name, 1, std::make_unique<IdentityExecutor>(IdentitySpec(name, {type})));
    if (!put) return put;
  }
  return server.Put("pair", 1,
                    std::make_unique<IdentityExecutor>(
                        IdentitySpec("pair", {DataType::kFp32, DataType::kBytes})));
}

}  // namespace tidewheel::inference::testing
