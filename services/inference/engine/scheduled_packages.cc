#include "tidewheel/inference/engine/scheduled_packages.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
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
  explicit PackageExecutor(const ReadyPackage& package) : model_(package.model) {
    const ModelIdentity& identity = package.identity;
    const serving::ModelSignature& signature = model_->signature();
    spec_.name = identity.task;
    spec_.version = std::to_string(identity.model_version);
    spec_.platform = "onnx_onnxv1";
    spec_.max_batch_size = ScheduledPackages::kMostRows;
    spec_.inputs = {ToSpec(signature.input)};
    spec_.outputs = {ToSpec(signature.output)};
    if (signature.embedding) spec_.outputs.push_back(ToSpec(*signature.embedding));
    spec_.properties = {{"model_version_id", identity.model_version_id},
                        {"package_digest", identity.package_digest},
                        {"variant", package.variant}};
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

  std::size_t rows_of_a_pass() const override { return model_->rows_of_a_pass(); }

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

/// Asks the server by name.
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

  void Start(std::span<const float> input, std::size_t rows, const CallTerms& terms,
             Answered answered) const override {
    if (rows == 0) return answered(RowAnswers{});
    const serving::ModelSignature& signature = model_->signature();
    const auto all = std::make_shared<Whole>();
    all->answers.probabilities.resize(rows * signature.output.elements());
    all->answers.embedding.resize(signature.embedding ? rows * signature.embedding->elements() : 0);
    all->left = (rows + kMostRows - 1) / kMostRows;
    all->answered = std::move(answered);
    const std::size_t numbers = signature.input.elements();
    for (std::size_t first = 0; first < rows; first += kMostRows) {
      const std::size_t some = std::min(kMostRows, rows - first);
      StartPart(all, input.subspan(first * numbers, some * numbers), first, some, terms);
    }
  }

 private:
  /// The answer to all rows, gathered from those of its calls.
  struct Whole {
    RowAnswers answers;
    std::atomic<std::size_t> left = 0;
    std::mutex mutex;  // Guards error.
    std::optional<Error> error;
    Answered answered;

    void EndPart(Result<void> ended) {
      if (!ended) {
        const std::lock_guard lock(mutex);
        if (!error) error = ended.error();
      }
      if (left.fetch_sub(1) > 1) return;
      if (error) return answered(*std::move(error));
      answered(std::move(answers));
    }
  };

  void StartPart(const std::shared_ptr<Whole>& all, std::span<const float> input, std::size_t first,
                 std::size_t rows, const CallTerms& terms) const {
    const serving::ModelSignature& signature = model_->signature();
    InferRequest request{.model_name = place_.first, .model_version = version_};
    request.deadline = terms.deadline;
    request.cancelled = terms.cancelled;
    Tensor& tensor = request.inputs.emplace_back();
    tensor.name = signature.input.name;
    tensor.shape = signature.input.shape;
    tensor.shape.front() = static_cast<std::int64_t>(rows);
    tensor.data = {reinterpret_cast<const char*>(input.data()), input.size_bytes()};
    owner_.models_.Infer(
        std::move(request), [all, first, rows, &signature](Result<InferResponse> answer) {
          if (!answer) return all->EndPart(answer.error());
          const auto part = [&](std::vector<float>& whole, const serving::TensorInfo& info) {
            return std::span(whole).subspan(first * info.elements(), rows * info.elements());
          };
          auto copied = CopyOutput(*answer, signature.output.name,
                                   part(all->answers.probabilities, signature.output));
          if (copied && signature.embedding) {
            copied = CopyOutput(*answer, signature.embedding->name,
                                part(all->answers.embedding, *signature.embedding));
          }
          all->EndPart(std::move(copied));
        });
  }

  ScheduledPackages& owner_;
  const Place place_;
  const std::string version_;
  const std::uint64_t turn_;
  const std::shared_ptr<const serving::Model> model_;
};

ScheduledPackages::ScheduledPackages(RepositoryServer& models, std::uint32_t instances)
    : models_(models),
      instances_(instances),
      worker_(std::make_unique<Worker>("packages-leave", [this](const std::stop_token& stop) {
        while (true) {
          std::unique_lock lock(leaving_mutex_);
          // At the end what waits is still taken away.
          left_.wait(lock, stop, [this] { return !leaving_.empty(); });
          if (leaving_.empty()) return;
          const auto [place, turn] = std::move(leaving_.front());
          leaving_.pop_front();
          lock.unlock();
          TakeAway(place, turn);
        }
      })) {}

ScheduledPackages::~ScheduledPackages() = default;

Result<std::unique_ptr<const RowRunner>> ScheduledPackages::Host(const ReadyPackage& package) {
  const Place place{package.identity.task, package.identity.model_version};
  ModelConfig config;
  config.max_batch_size = kMostRows;
  config.instances = instances_;
  config.batching = BatchPolicy{.default_queue_policy = {.allow_timeout_override = true}};
  const std::lock_guard lock(changing_);
  // Which version answers requests that name none is for the route to say.
  auto put = models_.Put(place.first, place.second, std::make_unique<PackageExecutor>(package),
                         std::move(config), {}, false);
  if (!put) return put.error();
  holders_[place] = ++turns_;
  return std::unique_ptr<const RowRunner>(
      std::make_unique<Runner>(*this, place, turns_, package.model));
}

void ScheduledPackages::Leave(const Place& place, std::uint64_t turn) {
  const std::lock_guard lock(leaving_mutex_);
  leaving_.emplace_back(place, turn);
  left_.notify_one();
}

void ScheduledPackages::TakeAway(const Place& place, std::uint64_t turn) {
  const std::lock_guard lock(changing_);
  const auto holder = holders_.find(place);
  if (holder == holders_.end() || holder->second != turn) return;
  holders_.erase(holder);
  // kNotFound: it is as asked.
  if (const auto removed = models_.Remove(place.first, place.second); !removed) return;
}

}  // namespace tidewheel::inference
