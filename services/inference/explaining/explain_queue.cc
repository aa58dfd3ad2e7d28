#include "tidewheel/inference/explaining/explain_queue.h"

#include <sys/resource.h>
#include <unistd.h>

#include <utility>

#include "tidewheel/inference/explaining/explainer.h"

namespace tidewheel::inference {
namespace {

/// The priority of the calling thread alone, as Linux has it. Where it is refused, explanations run
/// at the usual one.
void LowerOwnPriority() {
  constexpr int kLowest = 19;
  static_cast<void>(setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kLowest));
}

/// Ends an explanation in the middle when its caller has gone.
class WatchedModel final : public ExplainableModel {
 public:
  WatchedModel(ExplainableModel& model, const ExplainQueue::Gone& gone)
      : model_(model), gone_(gone) {}

  const ModelIdentity& identity() const override { return model_.identity(); }
  Result<NumberRows> Prepare(std::string_view picture) override { return model_.Prepare(picture); }
  Result<void> Ask(std::span<const std::int64_t> row_shape, std::span<const float> rows,
                   std::size_t count, std::span<float> probabilities) override {
    if (auto watched = Watch(); !watched.ok()) return watched;
    return model_.Ask(row_shape, rows, count, probabilities);
  }
  Result<void> Gradients(std::span<const std::int64_t> row_shape, std::span<const float> rows,
                         std::size_t count, std::size_t class_index,
                         std::span<double> probabilities, std::span<float> gradients) override {
    if (auto watched = Watch(); !watched.ok()) return watched;
    return model_.Gradients(row_shape, rows, count, class_index, probabilities, gradients);
  }

 private:
  Result<void> Watch() const {
    if (!gone_ || !gone_()) return {};
    return Error{ErrorCode::kCancelled, "the explanation's caller has gone"};
  }

  ExplainableModel& model_;
  const ExplainQueue::Gone& gone_;
};

}  // namespace

ExplainQueue::ExplainQueue(ExplainableModels& models, const Options& options,
                           ExplainCounters counters)
    : models_(models),
      counters_(counters),
      queue_(options.waiting),
      worker_("explain", [this](const std::stop_token& stop) { Work(stop); }) {}

ExplainQueue::~ExplainQueue() {
  queue_.Close();
  worker_.RequestStop();
}

void ExplainQueue::Explain(ExplainRequest request, Gone gone, Done done) {
  if (auto checked = Check(request); !checked.ok()) {
    counters_.failed.Add(1);
    done(checked.error());
    return;
  }
  Job job{std::move(request), std::move(gone), std::move(done)};
  if (queue_.TryPush(std::move(job))) return;
  counters_.refused.Add(1);
  job.done(Error{ErrorCode::kResourceExhausted,
                 std::to_string(queue_.capacity()) + " explanations wait already"});
}

void ExplainQueue::Work(const std::stop_token& stop) {
  LowerOwnPriority();
  while (true) {
    auto jobs = queue_.PopSome(stop, 1);
    if (jobs.empty()) return;
    Job& job = jobs.front();
    auto explained = Run(job, stop);
    if (explained.ok()) {
      counters_.explained.Add(1);
      if (!explained->complete) counters_.cut_short.Add(1);
      counters_.seconds.Observe(std::chrono::duration<double>(explained->took).count());
    } else {
      counters_.failed.Add(1);
    }
    job.done(std::move(explained));
  }
}

Result<Explanation> ExplainQueue::Run(const Job& job, const std::stop_token& stop) {
  if (stop.stop_requested() || (job.gone && job.gone())) {
    return Error{ErrorCode::kCancelled, "the explanation was not begun: its caller has gone, or " +
                                            std::string("the service ends")};
  }
  auto model = models_.For(job.request.task);
  if (!model.ok()) return model.error();
  WatchedModel watched(**model, job.gone);
  return inference::Explain(watched, job.request, stop);
}

}  // namespace tidewheel::inference
