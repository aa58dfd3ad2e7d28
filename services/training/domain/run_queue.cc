#include "tidewheel/training/domain/run_queue.h"

#include <algorithm>
#include <cmath>

#include "tidewheel/base/ids.h"
#include "tidewheel/stats/mcnemar.h"

namespace tidewheel::training {
namespace {

constexpr std::uint32_t kMaxEpochs = 10'000;
constexpr std::uint32_t kMaxBatch = 65'536;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> CheckCount(const std::string& name, std::optional<std::uint32_t> value,
                        std::uint32_t least, std::uint32_t most) {
  if (!value || (*value >= least && *value <= most)) return {};
  return Bad(name + " is " + std::to_string(least) + " to " + std::to_string(most) + ", not " +
             std::to_string(*value));
}

Result<void> CheckNumber(const std::string& name, std::optional<double> value, bool zero_is_fine) {
  if (!value) return {};
  const bool good =
      std::isfinite(*value) && *value <= 100 && (zero_is_fine ? *value >= 0 : *value > 0);
  if (good) return {};
  return Bad(name + " is " + (zero_is_fine ? "0" : "above 0") + " to 100, not " +
             std::to_string(*value));
}

}  // namespace

Result<void> RunQueue::Check(const RunRequest& request) const {
  if (request.request_id.empty() || request.request_id.size() > 128) {
    return Bad("request_id has 1 to 128 characters");
  }
  if (std::find(policy_.recipes.begin(), policy_.recipes.end(), request.recipe) ==
      policy_.recipes.end()) {
    std::string known;
    for (const auto& name : policy_.recipes) known += (known.empty() ? "" : ", ") + name;
    return Bad("recipe \"" + request.recipe.substr(0, 80) + "\" is not one of " + known);
  }
  const Hyperparameters& hyperparameters = request.hyperparameters;
  for (const auto& checked : {CheckCount("epochs", hyperparameters.epochs, 1, kMaxEpochs),
                              CheckCount("batch_size", hyperparameters.batch_size, 1, kMaxBatch),
                              CheckCount("patience", hyperparameters.patience, 0, kMaxEpochs),
                              CheckNumber("learning_rate", hyperparameters.learning_rate, false),
                              CheckNumber("weight_decay", hyperparameters.weight_decay, true)}) {
    if (!checked) return checked;
  }
  return {};
}

Result<EnqueuedRun> RunQueue::Start(const RunRequest& request) {
  if (const auto good = Check(request); !good) return good.error();
  auto dataset = store_.FindDatasetVersion(request.dataset_version_id);
  if (!dataset) return dataset.error();

  Run run;
  run.id = NewUuid();
  run.request = request;
  run.dataset = *std::move(dataset);
  run.queued_at = clock_.Now();
  return store_.Enqueue(run, policy_.max_queued);
}

Result<Run> RunQueue::Find(const std::string& id) {
  auto run = store_.Find(id);
  if (!run) return run.error();
  if (!*run) return Error{ErrorCode::kNotFound, "no run " + id.substr(0, 80)};
  return **std::move(run);
}

Result<Run> RunQueue::Cancel(const std::string& id, const std::string& reason) {
  return store_.Cancel(id, reason.empty() ? "cancelled" : "cancelled: " + reason.substr(0, 500),
                       clock_.Now());
}

Result<RunComparison> RunQueue::Compare(const std::string& run_id, const std::string& other_run_id,
                                        const std::string& split) {
  const auto counts = store_.Compare(run_id, other_run_id, split.empty() ? "test" : split);
  if (!counts) return counts.error();
  const auto test = stats::McNemar(counts->only_first_right, counts->only_second_right);
  if (!test) return test.error();

  RunComparison comparison;
  comparison.counts = *counts;
  comparison.p_value = test->p_value;
  comparison.exact = test->exact;
  const std::string figures = " (" + std::to_string(counts->only_first_right) +
                              " right only in the first, " +
                              std::to_string(counts->only_second_right) + " only in the second)";
  if (test->p_value >= 0.05) {
    comparison.verdict = "no difference that could not be chance" + figures;
  } else if (counts->only_first_right > counts->only_second_right) {
    comparison.verdict = "the first run is better" + figures;
  } else {
    comparison.verdict = "the second run is better" + figures;
  }
  return comparison;
}

}  // namespace tidewheel::training
