#pragma once

#include <map>
#include <string>
#include <vector>

#include "tidewheel/training/domain/run_store.h"

namespace tidewheel::training {

/// Runs in memory, for tests. Not thread-safe.
class FakeRunStore final : public RunStore {
 public:
  Result<DatasetVersion> FindDatasetVersion(const std::string& id) override {
    if (id != "dataset-1" && !any_dataset)
      return Error{ErrorCode::kNotFound, "no dataset version " + id};
    return DatasetVersion{id, "lights", "digest", 10, {"red", "green"}};
  }
  Result<void> ForEachItem(const std::string& /*dataset_version_id*/,
                           const std::function<Result<void>(const DatasetItem&)>& visit) override {
    for (const auto& item : items) {
      if (auto visited = visit(item); !visited) return visited;
    }
    return {};
  }
  Result<EnqueuedRun> Enqueue(const Run& run, std::size_t limit) override {
    for (const auto& known : runs) {
      if (known.request.request_id == run.request.request_id) return EnqueuedRun{known, false};
    }
    if (runs.size() >= limit) return Error{ErrorCode::kResourceExhausted, "the queue is full"};
    runs.push_back(run);
    return EnqueuedRun{run, true};
  }
  Result<std::optional<Run>> Find(const std::string& id) override {
    for (const auto& run : runs) {
      if (run.id == id) return std::optional<Run>(run);
    }
    return std::optional<Run>();
  }
  Result<Page<Run>> List(const std::string& /*task*/, std::optional<RunState> /*state*/,
                         const PageRequest& /*page*/) override {
    return Page<Run>{runs, ""};
  }
  Result<OpenRuns> CountOpen() override {
    OpenRuns open;
    for (const auto& run : runs) {
      open.queued += run.state == RunState::kQueued ? 1 : 0;
      open.running += run.state == RunState::kRunning ? 1 : 0;
    }
    return open;
  }
  Result<std::optional<Run>> Claim(const std::string& /*owner*/, Timestamp /*now*/,
                                   std::chrono::milliseconds /*lease*/) override {
    for (auto& run : runs) {
      if (run.state != RunState::kQueued) continue;
      run.state = RunState::kRunning;
      ++run.attempt;
      return std::optional<Run>(run);
    }
    return std::optional<Run>();
  }
  Result<bool> Renew(const std::string& id, const std::string& /*owner*/, Timestamp /*until*/,
                     const Progress& progress) override {
    if (taken_away) return Error{ErrorCode::kAborted, "run " + id + " is another's"};
    Run& run = Get(id);
    run.progress = progress;
    return run.cancel_requested;
  }
  Result<void> Succeed(const std::string& id, const std::string& /*owner*/, Timestamp /*now*/,
                       const RunOutcome& outcome, const std::string& model_version_id) override {
    Run& run = Get(id);
    run.state = RunState::kSucceeded;
    run.effective = outcome.effective;
    run.model_version_id = model_version_id;
    return {};
  }
  Result<void> End(const std::string& id, const std::string& /*owner*/, Timestamp /*now*/,
                   RunState state, const std::string& reason) override {
    Get(id).state = state;
    Get(id).reason = reason;
    return {};
  }
  Result<std::size_t> RecoverLost(Timestamp /*now*/, std::uint32_t /*attempts*/) override {
    return std::size_t{0};
  }
  Result<Run> Cancel(const std::string& id, const std::string& /*reason*/,
                     Timestamp /*now*/) override {
    Get(id).cancel_requested = true;
    return Get(id);
  }
  Result<Page<RunPrediction>> ListPredictions(const PredictionFilter& /*filter*/,
                                              const PageRequest& /*page*/) override {
    return Page<RunPrediction>{};
  }
  Result<Disagreement> Compare(const std::string& /*run_id*/, const std::string& /*other_run_id*/,
                               const std::string& /*split*/) override {
    return disagreement;
  }

  Run& Get(const std::string& id) {
    for (auto& run : runs) {
      if (run.id == id) return run;
    }
    runs.emplace_back();
    return runs.back();
  }

  std::vector<DatasetItem> items;
  std::vector<Run> runs;
  Disagreement disagreement;
  bool taken_away = false;
  bool any_dataset = false;  // Every dataset version is there.
};

}  // namespace tidewheel::training
