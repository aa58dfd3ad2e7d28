#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/inference/core/executor.h"

namespace tidewheel::inference {

/// Where runners come from and what they may take. Of one model; a model's configuration may ask
/// for less.
struct TorchOptions {
  std::filesystem::path program{};  // Empty: tidewheel-torch-runner beside this program.
  std::string device = "cpu";       // Or "cuda:N".
  std::uint32_t threads = 1;        // That compute one call.
  bool freeze = true;               // Attributes of TorchScript become constants.
  std::size_t memory_bytes = std::size_t{4} << 30;  // Private memory beyond LibTorch's own; 0: any.
  std::size_t file_bytes = std::size_t{4} << 30;    // The largest model.
  /// The largest request, and the largest answer, of one call. Memory is taken as it is used.
  std::size_t call_bytes = std::size_t{256} << 20;
  std::chrono::milliseconds call_limit{30'000};   // A call that takes longer ends its runner.
  std::chrono::milliseconds load_limit{120'000};  // From the start to the first request.
  /// From a runner's end to the next start, doubled each time up to the most, as long as runners do
  /// not last.
  std::chrono::milliseconds first_pause{100};
  std::chrono::milliseconds most_pause{30'000};
  std::chrono::milliseconds lasting{30'000};
  /// How long a call waits for a runner that starts again. One whose pause is longer is not waited
  /// for.
  std::chrono::milliseconds patience{10'000};
  /// How long both sides look for the other's word before they sleep.
  std::chrono::nanoseconds spin{0};
  std::filesystem::path scratch{};  // For folders of packages; empty: the machine's own place.
};

/// A model for a runner.
struct TorchModel {
  std::string name{};
  std::string version{};
  std::filesystem::path file{};
  bool package = false;         // .pt2; else TorchScript.
  std::uint32_t instances = 1;  // Calls at the same time.
  /// What the configuration says, batch included; empty: what the file says.
  std::vector<TensorSpec> inputs{};
  std::vector<TensorSpec> outputs{};
  std::size_t max_batch_size = 0;
  /// Served is the derivative of one class's answer by the rows: inputs "rows" and "class" (one
  /// INT64), outputs "answers" and "gradients". Only TorchScript that takes and gives one tensor.
  bool gradients = false;
};

struct TorchRunnerCounts {
  pid_t pid = 0;  // 0: none runs now.
  std::uint64_t starts = 0;
  std::uint64_t ends = 0;         // That nobody asked for.
  std::uint64_t ended_calls = 0;  // Calls that took too long.
  std::string last_end{};
  std::vector<std::string> unconfined{};  // Guards that this machine does not have.
};

/// A model in a process of its own, which is started again when it ends. A crash fails the calls
/// that are inside, kUnavailable; calls that come while it starts again wait, up to the options'
/// patience. Thread-safe.
class TorchExecutor final : public Executor {
 public:
  /// Returns when the model is loaded. The error, which does not name the model, says why it cannot
  /// be: kInvalidArgument,
  /// kUnimplemented (an operator), kFailedPrecondition (the device, the program),
  /// kResourceExhausted, kDeadlineExceeded, or kUnavailable: the runner crashed.
  static Result<std::unique_ptr<TorchExecutor>> Start(TorchOptions options, TorchModel model);
  ~TorchExecutor() override;

  const ModelSpec& spec() const override { return spec_; }
  /// kInvalidArgument: what the model says to its inputs when the spec leaves them to it; kInternal
  /// when they fit the spec. kDeadlineExceeded: it took longer than call_limit and was ended.
  /// kResourceExhausted: memory, or a request or an answer larger than call_bytes.
  Result<std::vector<Tensor>> Execute(std::span<const Tensor> inputs) override;
  bool may_block() const override { return true; }
  /// Of the runner, without what it shares with others.
  std::size_t memory_bytes() const override;

  TorchRunnerCounts counts() const;

 private:
  class Session;

  TorchExecutor(TorchOptions options, TorchModel model, int file);
  void Supervise(std::stop_token stop);
  /// A runner with its model loaded.
  Result<std::shared_ptr<Session>> StartSession(std::stop_token stop);
  Result<void> LoadInto(Session& session, std::stop_token stop);
  void Learn(std::vector<TensorSpec> inputs, std::vector<TensorSpec> outputs, bool batches);
  Result<std::shared_ptr<Session>> WaitForSession();
  Result<std::vector<Tensor>> TakeAnswer(Session& session, std::size_t lane) const;
  Error Named(Error error) const;

  const TorchOptions options_;
  const TorchModel model_;
  const int file_;  // Open as long as the model is served: what lies in the folder may change.
  ModelSpec spec_;

  mutable std::mutex mutex_;  // Guards what follows.
  std::condition_variable changed_;
  std::shared_ptr<Session> session_;   // Null: none serves now.
  std::optional<Result<void>> first_;  // How the first start went.
  std::chrono::steady_clock::time_point next_start_{};
  bool stopping_ = false;
  std::string why_down_;
  TorchRunnerCounts counts_;

  int stop_event_ = -1;
  std::unique_ptr<Worker> supervisor_;  // Last: stops before what it uses.
};

}  // namespace tidewheel::inference
