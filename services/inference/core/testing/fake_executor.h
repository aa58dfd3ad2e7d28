#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/inference/core/executor.h"
#include "tidewheel/inference/core/model_server.h"

namespace tidewheel::inference::testing {

/// Holds up whoever passes while it is shut.
class Gate {
 public:
  void Shut() { Set(false); }
  void Open() { Set(true); }
  void Pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  /// Returns when so many have come since the start.
  void AwaitArrivals(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ >= count; });
  }
  int arrivals() {
    const std::lock_guard lock(mutex_);
    return arrived_;
  }

 private:
  void Set(bool open) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int arrived_ = 0;
};

inline std::string FloatBytes(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}
inline std::vector<float> Floats(const Tensor& tensor) {
  std::vector<float> values(tensor.data.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}
inline Tensor Row(const std::string& name, const std::vector<float>& values) {
  return Tensor::Of(name, DataType::kFp32, {1, static_cast<std::int64_t>(values.size())},
                    FloatBytes(values));
}

/// y = x + offset, for an input "x" FP32 [-1, width] and an output "y" of the same shape.
class FakeExecutor final : public Executor {
 public:
  struct Behaviour {
    float offset = 1;
    Gate* gate = nullptr;
    std::chrono::microseconds takes{0};  // Spent by turning round.
    std::optional<Error> fails{};
    std::atomic<int>* alive = nullptr;
    std::size_t rows_of_a_pass = 0;
    std::function<void(std::span<const Tensor>)> seen{};
  };

  static ModelSpec Spec(std::size_t max_batch_size = 8, std::int64_t width = 2) {
    ModelSpec spec;
    spec.name = "plus";
    spec.version = "1";
    spec.platform = "fake_fake";
    spec.max_batch_size = max_batch_size;
    spec.inputs = {{"x", DataType::kFp32, {-1, width}}};
    spec.outputs = {{"y", DataType::kFp32, {-1, width}}};
    return spec;
  }

  FakeExecutor(ModelSpec spec, Behaviour behaviour)
      : spec_(std::move(spec)), behaviour_(std::move(behaviour)) {
    if (behaviour_.alive != nullptr) ++*behaviour_.alive;
  }
  explicit FakeExecutor(ModelSpec spec) : FakeExecutor(std::move(spec), Behaviour{}) {}
  ~FakeExecutor() override {
    if (behaviour_.alive != nullptr) --*behaviour_.alive;
  }

  const ModelSpec& spec() const override { return spec_; }
  std::size_t rows_of_a_pass() const override { return behaviour_.rows_of_a_pass; }

  Result<std::vector<Tensor>> Execute(std::span<const Tensor> inputs) override {
    {
      const std::lock_guard lock(mutex_);
      batches_.push_back(inputs[0].shape.empty() ? 0 : inputs[0].shape[0]);
    }
    if (behaviour_.seen) behaviour_.seen(inputs);
    if (behaviour_.gate != nullptr) behaviour_.gate->Pass();
    if (behaviour_.takes.count() > 0) {
      const auto end = std::chrono::steady_clock::now() + behaviour_.takes;
      while (std::chrono::steady_clock::now() < end) {
      }
    }
    if (behaviour_.fails) return *behaviour_.fails;
    std::vector<float> values = Floats(inputs[0]);
    for (float& value : values) value += behaviour_.offset;
    std::vector<Tensor> outputs;
    outputs.push_back(
        Tensor::Of(spec_.outputs[0].name, DataType::kFp32, inputs[0].shape, FloatBytes(values)));
    return outputs;
  }

  std::vector<std::int64_t> batches() const {
    const std::lock_guard lock(mutex_);
    return batches_;
  }

 private:
  const ModelSpec spec_;
  const Behaviour behaviour_;
  mutable std::mutex mutex_;  // Guards batches_.
  std::vector<std::int64_t> batches_;
};

/// Where the answers of a test arrive.
class Answers {
 public:
  ModelServer::Answered At(std::size_t index) {
    return [this, index](Result<InferResponse> answer) {
      const std::lock_guard lock(mutex_);
      if (answers_.size() <= index) answers_.resize(index + 1);
      answers_[index].push_back(std::move(answer));
      order_.push_back(index);
      changed_.notify_all();
    };
  }
  void Await(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return order_.size() >= count; });
  }
  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return order_.size();
  }
  /// The one answer to this index.
  Result<InferResponse> Only(std::size_t index) const {
    const std::lock_guard lock(mutex_);
    if (index >= answers_.size() || answers_[index].size() != 1) {
      return Error{ErrorCode::kInternal, "not answered exactly once"};
    }
    return answers_[index][0];
  }
  std::vector<std::size_t> order() const {
    const std::lock_guard lock(mutex_);
    return order_;
  }

 private:
  mutable std::mutex mutex_;  // Guards the rest.
  std::condition_variable changed_;
  std::vector<std::vector<Result<InferResponse>>> answers_;
  std::vector<std::size_t> order_;
};

}  // namespace tidewheel::inference::testing
