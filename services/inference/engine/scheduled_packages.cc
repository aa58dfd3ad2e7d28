#include "tidewheel/inference/engine/scheduled_packages.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <semaphore>
#include <vector>

namespace tidewheel::inference {
namespace {

TensorSpec ToSpec(const serving::TensorInfo& info) {
  return {.name = info.name, .type = DataType::kFp32, .shape = info.shape};
}

Tensor FloatTensor(const TensorSpec& spec, std::size_t rows, std::vector<float> values) {
  auto owner = std::make_shared<const std::vector<float>>(std::move(values));
  Tensor tensor{.name = spec.name, .type = spec.type, .shape = spec.shape};
  tensor.shape.front() = static_cast<std::int64_t>(rows);
  tensor.data = {reinterpret_cast<const char*>(owner->data()), owner->size() * sizeof(float)};
  tensor.owner = std::move(owner);
  return tensor;
}

/// A package's graph as the core asks it.
class PackageExecutor final : public Executor {
 public:
  PackageExecutor(const ModelIdentity& identity, std::shared_ptr<const serving::Model> model)
      : model_(std::move(model)) {
    const serving::ModelSignature& signature = model_->signature();
    spec_.name = identity.task;
    spec_.version = std::to_string(identity.model_version);
    spec_.platform = "onnx_onnxv1";
    spec_.max_batch_size = ScheduledPackages::kMostRows;
    spec_.inputs = {ToSpec(signature.input)};
    spec_.outputs = {ToSpec(signature.output)};
    if (signature.embedding) spec_.outputs.push_back(ToSpec(*signature.embedding));
    spec_.properties = {{"model_version_id", identity.model_version_id},
                        {"package_digest", identity.package_digest}};
  }

  const ModelSpec& spec() const override { return spec_; }

  Result<std::vector<Tensor>> Execute(std::span<const Tensor> inputs) override {
    const serving::ModelSignature& signature = model_->signature();
    const Tensor& input = inputs.front();
    const auto rows = static_cast<std::size_t>(input.shape.front());
    const std::size_t count = input.data.size() / sizeof(float);
    std::vector<float> aligned;
    const auto* values = reinterpret_cast<const float*>(input.data.data());
    if (reinterpret_cast<std::uintptr_t>(input.data.data()) % alignof(float) != 0) {
      aligned.resize(count);
      std::memcpy(aligned.data(), input.data.data(), input.data.size());
      values = aligned.data();
    }
    std::vector<float> output(rows * signature.output.elements());
    std::vector<float> embedding(signature.embedding ? rows * signature.embedding->elements() : 0);
    if (auto ran = model_->Infer({values, count}, rows, output, embedding); !ran) {
      return ran.error();
    }
    std::vector<Tensor> outputs;
    outputs.push_back(FloatTensor(spec_.outputs[0], rows, std::move(output)));
    if (signature.embedding) {
      outputs.push_back(FloatTensor(spec_.outputs[1], rows, std::move(embedding)));
    }
    return outputs;
  }

 private:
  const std::shared_ptr<const serving::Model> model_;
  ModelSpec spec_;
};

Result<void> CopyOutput(const InferResponse& response, const std::string& name,
                        std::span<float> to) {
  const auto found = std::find_if(response.outputs.begin(), response.outputs.end(),
                                  [&](const Tensor& output) { return output.name == name; });
  if (found == response.outputs.end() || found->data.size() != to.size_bytes()) {
    return Error{ErrorCode::kInternal, "the answer has no output " + name + " of the right size"};
  }
  std::memcpy(to.data(), found->data.data(), to.size_bytes());
  return {};
}

}  // namespace

/// Asks the server by name and waits.
class ScheduledPackages::Runner final : public RowRunner {
 public:
  Runner(ScheduledPackages& owner, Place place, std::uint64_t turn,
         std::shared_ptr<const serving::Model> model)
      : owner_(owner),
        place_(std::move(place)),
        version_(std::to_string(place_.second)),
        turn_(turn),
        model_(std::move(model)) {}
  ~Runner() override { owner_.Leave(place_, turn_); }

  Result<void> Run(std::span<const float> input, std::size_t rows, std::span<float> output,
                   std::span<float> embedding) const override {
    const std::size_t in = rows > 0 ? input.size() / rows : 0;
    const std::size_t out = rows > 0 ? output.size() / rows : 0;
    const std::size_t more = rows > 0 ? embedding.size() / rows : 0;
    for (std::size_t first = 0; first < rows; first += kMostRows) {
      const std::size_t some = std::min(kMostRows, rows - first);
      auto ran = RunSome(input.subspan(first * in, some * in), some,
                         output.subspan(first * out, some * out),
                         embedding.subspan(first * more, some * more));
      if (!ran) return ran;
    }
    return {};
  }

 private:
  Result<void> RunSome(std::span<const float> input, std::size_t rows, std::span<float> output,
                       std::span<float> embedding) const {
    const serving::ModelSignature& signature = model_->signature();
    InferRequest request{.model_name = place_.first, .model_version = version_};
    Tensor& tensor = request.inputs.emplace_back();
    tensor.name = signature.input.name;
    tensor.shape = signature.input.shape;
    tensor.shape.front() = static_cast<std::int64_t>(rows);
    tensor.data = {reinterpret_cast<const char*>(input.data()), input.size_bytes()};
    request.outputs.push_back(signature.output.name);
    if (!embedding.empty()) request.outputs.push_back(signature.embedding->name);

    std::optional<Result<InferResponse>> answer;
    std::binary_semaphore answered{0};
    owner_.models_.Infer(std::move(request), [&](Result<InferResponse> given) {
      answer.emplace(std::move(given));
      answered.release();
    });
    answered.acquire();
    if (!*answer) return answer->error();
    if (auto copied = CopyOutput(**answer, signature.output.name, output); !copied) return copied;
    return embedding.empty() ? Result<void>()
                             : CopyOutput(**answer, signature.embedding->name, embedding);
  }

  ScheduledPackages& owner_;
  const Place place_;
  const std::string version_;
  const std::uint64_t turn_;
  const std::shared_ptr<const serving::Model> model_;
};

Result<std::unique_ptr<const RowRunner>> ScheduledPackages::Host(
    const ModelIdentity& identity, std::shared_ptr<const serving::Model> model) {
  const Place place{identity.task, identity.model_version};
  std::uint64_t turn = 0;
  std::uint64_t before = 0;
  {
    const std::lock_guard lock(mutex_);
    turn = ++turns_;
    before = std::exchange(holders_[place], turn);
  }
  ModelConfig config;
  config.max_batch_size = kMostRows;
  config.instances = instances_;
  config.batching = BatchPolicy{.default_queue_policy = {.allow_timeout_override = true}};
  // Which version answers requests that name none is for the route to say.
  auto put =
      models_.Put(place.first, place.second, std::make_unique<PackageExecutor>(identity, model),
                  std::move(config), {}, false);
  if (!put) {
    const std::lock_guard lock(mutex_);
    if (holders_[place] == turn) {
      if (before == 0) {
        holders_.erase(place);
      } else {
        holders_[place] = before;
      }
    }
    return put.error();
  }
  return std::unique_ptr<const RowRunner>(
      std::make_unique<Runner>(*this, place, turn, std::move(model)));
}

void ScheduledPackages::Leave(const Place& place, std::uint64_t turn) {
  {
    const std::lock_guard lock(mutex_);
    const auto holder = holders_.find(place);
    if (holder == holders_.end() || holder->second != turn) return;
    holders_.erase(holder);
  }
  // kNotFound: it is as asked.
  if (const auto removed = models_.Remove(place.first, place.second); !removed) return;
}

}  // namespace tidewheel::inference
