#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/model_server.h"

namespace tidewheel::inference {

/// A declared graph of models that is served as one. Its steps are requests to the models; those
/// that do not wait for each other run at the same time, and no thread waits for an answer.
/// Thread-safe.
class Ensemble {
 public:
  using FindSpec =
      std::function<Result<ModelSpec>(const std::string& model, const std::string& version)>;
  using Ask = std::function<void(InferRequest, ModelServer::Answered)>;

  /// Checks the graph against the models as they are now: kInvalidArgument names the step and the
  /// tensor (nobody makes it, two make it, a circle, another type or shape, an input or output that
  /// the model has not); what `find` says of a model that is not there. `ask` outlives the
  /// ensemble.
  static Result<std::unique_ptr<Ensemble>> Make(ModelConfig config, const std::string& name,
                                                const std::string& version, const FindSpec& find,
                                                Ask ask);
  ~Ensemble() { Drain(); }

  const ModelSpec& spec() const { return spec_; }
  std::vector<std::string> models() const;

  /// As Scheduler::Submit: false, and all as it was, when it drains.
  bool Submit(InferRequest& request, ModelServer::Answered& answered);
  void Drain();
  ModelStatistics Statistics() const;

 private:
  struct Run;
  struct Step {
    std::string model{};
    std::string version{};
    // Of the model and of the graph, by their places there.
    std::vector<std::pair<std::string, std::size_t>> inputs{};
    std::vector<std::pair<std::string, std::size_t>> outputs{};
    std::size_t waits_for = 0;  // Steps that make its inputs.
  };

  Ensemble(ModelSpec spec, Ask ask) : spec_(std::move(spec)), ask_(std::move(ask)) {}
  void Launch(const std::shared_ptr<Run>& run, std::size_t step);
  void Take(const std::shared_ptr<Run>& run, std::size_t step, Result<InferResponse> answer);
  void Finish(const std::shared_ptr<Run>& run);

  ModelSpec spec_;
  const Ask ask_;
  std::size_t tensors_ = 0;           // The graph's; the first are the inputs.
  std::vector<std::size_t> outputs_;  // Which of them are the outputs.
  std::vector<Step> steps_;
  std::vector<std::vector<std::size_t>> followers_;  // Of a step, those that wait for it.

  std::atomic<std::int64_t> held_{0};
  std::atomic<bool> draining_{false};
  std::atomic<std::uint64_t> rows_{0};
  std::atomic<std::uint64_t> succeeded_{0};
  std::atomic<std::uint64_t> failed_{0};
  std::atomic<std::uint64_t> nanoseconds_{0};
  std::atomic<std::int64_t> last_ms_{0};
};

}  // namespace tidewheel::inference
