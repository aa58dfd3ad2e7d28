#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/training/domain/cycle_callees.h"

namespace tidewheel::training {

/// Everything a cycle asks of others, in memory: does what it is asked at once, remembers what it
/// made, and can be made to fail at one call, before or after that took effect. Not thread-safe.
class FakePlatform final : public ModelDesk,
                           public TrafficWatch,
                           public LabelQueue,
                           public DatasetDesk,
                           public SampleCatalogue {
 public:
  FakePlatform() {
    task.task = "lights";
    task.version = 3;
    task.classes = {"red", "green"};
    task.gate.classes = task.classes;
    task.gate.require_better_on_new = true;
    task.cycle.enabled = true;
    task.cycle.alert_causes = {"data_drift"};
    task.cycle.max_labels = 20;
    task.cycle.collect_samples = 30;
    task.cycle.acquire_test = 0.2;
    task.cycle.acquire_validation = 0.05;
    task.cycle.rollout.shadow_predictions = 50;
    task.cycle.rollout.canary_shares = {0.1, 0.5};
    task.cycle.rollout.canary_predictions = 100;
    models["model-1"] = {"model-1", "lights", "run-0", "dataset-0", {{"model.onnx", "ref-1"}}};
    production = "model-1";
    for (std::uint32_t i = 0; i < 40; ++i) {
      traffic.push_back({"r-" + std::to_string(i), 0, "", 1.0 - 0.01 * i});
    }
    for (int i = 0; i < 200; ++i) {
      GateSample sample;
      sample.given_class = static_cast<std::uint32_t>(i % 2);
      sample.is_new_condition = i >= 100;
      sample.candidate_class = sample.given_class;
      // The serving model does not know the new condition.
      sample.baseline_class = sample.is_new_condition ? 1 - sample.given_class : sample.given_class;
      gate_samples.push_back(sample);
    }
    comparison.verdict = "harmless";
    comparison.candidate_predictions = 100;
  }

  // --- model registry
  Result<TaskPolicy> FindTask(const std::string& name, std::uint32_t /*version*/) override {
    if (const auto failed = Called("FindTask")) return *failed;
    if (name != task.task) return Error{ErrorCode::kNotFound, "no task " + name};
    return task;
  }
  Result<std::vector<std::string>> ListCycleTasks() override {
    return task.cycle.enabled ? std::vector<std::string>{task.task} : std::vector<std::string>();
  }
  Result<ServingFacts> FindServing(const std::string& /*name*/) override {
    if (const auto failed = Called("FindServing")) return *failed;
    ServingFacts facts;
    if (!production.empty()) facts.production = models[production];
    facts.since = serving_since;
    return facts;
  }
  Result<ModelFacts> FindModelVersion(const std::string& id) override {
    if (const auto failed = Called("FindModelVersion")) return *failed;
    if (!models.contains(id)) return Error{ErrorCode::kNotFound, "no model version " + id};
    return models[id];
  }
  Result<GateVerdict> RecordGate(const GateRecord& record) override {
    if (const auto failed = Called("RecordGate")) return *failed;
    gates.try_emplace(record.evaluation_id, VerdictOf(record.criteria));
    if (const auto failed = Did()) return *failed;
    return gates[record.evaluation_id];
  }
  Result<SignOffs> FindSignOffs(const std::string& /*model_version_id*/) override {
    if (const auto failed = Called("FindSignOffs")) return *failed;
    return sign_offs;
  }
  Result<void> SetRollout(const RolloutWish& wish) override {
    if (const auto failed = Called("SetRollout")) return *failed;
    rollout = wish.stage + " " + std::to_string(wish.share);
    rollouts.insert(rollout);
    if (const auto failed = Did()) return *failed;
    return {};
  }
  Result<void> ClearRollout(const std::string& /*name*/, const std::string& /*candidate*/,
                            const std::string& /*actor*/, const std::string& /*reason*/) override {
    if (const auto failed = Called("ClearRollout")) return *failed;
    rollout.clear();
    if (const auto failed = Did()) return *failed;
    return {};
  }
  Result<void> Promote(const std::string& id, const std::string& /*actor*/,
                       const std::string& override_reason) override {
    if (const auto failed = Called("Promote")) return *failed;
    if (production != id) promotions.push_back(id + override_reason);
    production = id;
    if (const auto failed = Did()) return *failed;
    return {};
  }

  // --- monitoring
  Result<std::vector<RankedPrediction>> Rank(const RankQuestion& question) override {
    if (const auto failed = Called("Rank")) return *failed;
    ranked_orders.insert(question.order);
    return traffic;
  }
  Result<void> StartComparison(const ComparisonWish& wish) override {
    if (const auto failed = Called("StartComparison")) return *failed;
    comparisons.insert(wish.comparison_id);
    if (const auto failed = Did()) return *failed;
    return {};
  }
  Result<ComparisonFacts> FindComparison(const std::string& id) override {
    if (const auto failed = Called("FindComparison")) return *failed;
    if (!comparisons.contains(id)) return Error{ErrorCode::kNotFound, "no comparison " + id};
    return comparison;
  }
  Result<double> ShareWithOutcome(const std::string& /*name*/,
                                  const std::string& /*model*/) override {
    if (const auto failed = Called("ShareWithOutcome")) return *failed;
    return share_with_outcome;
  }
  Result<std::string> FindSliceOf(const std::string& /*alert_id*/) override {
    if (const auto failed = Called("FindSliceOf")) return *failed;
    return slice;
  }

  // --- labeling
  Result<BatchFacts> Enqueue(const BatchWish& wish) override {
    if (const auto failed = Called("Enqueue")) return *failed;
    if (!batches.contains(wish.batch_id)) {
      const auto items = static_cast<std::uint32_t>(wish.samples.size());
      batches[wish.batch_id] = {items, 0, 0, 0, "open", false};
      votes_wanted[wish.batch_id] = wish.votes_per_sample;
      asked += items;
      asked_again += wish.ask_again ? items : 0;
    }
    if (const auto failed = Did()) return *failed;
    return batches[wish.batch_id];
  }
  Result<BatchFacts> Find(const std::string& batch_id) override {
    if (const auto failed = Called("FindBatch")) return *failed;
    if (!batches.contains(batch_id)) return Error{ErrorCode::kNotFound, "no batch " + batch_id};
    BatchFacts& batch = batches[batch_id];
    if (annotators_work && batch.state == "open") {
      batch.answered = batch.labels = batch.items;
      batch.votes = batch.items * votes_wanted[batch_id];
      batch.state = "complete";
    }
    return batch;
  }
  Result<void> Cancel(const std::string& batch_id, const std::string& /*reason*/) override {
    if (const auto failed = Called("CancelBatch")) return *failed;
    batches[batch_id].state = "cancelled";
    batches[batch_id].labels_are_made = true;
    if (const auto failed = Did()) return *failed;
    return {};
  }

  // --- curation
  Result<std::string> Build(const DatasetWish& wish) override {
    if (const auto failed = Called("Build")) return *failed;
    datasets.try_emplace(wish.request_id, "dataset-" + std::to_string(datasets.size() + 1));
    if (const auto failed = Did()) return *failed;
    return datasets[wish.request_id];
  }

  // --- views
  Result<std::vector<CapturedSample>> FindCaptured(
      const std::string& /*name*/, const std::string& /*previous*/,
      std::span<const RankedPrediction> predictions) override {
    if (const auto failed = Called("FindCaptured")) return *failed;
    std::vector<CapturedSample> captured;
    for (const auto& prediction : predictions) {
      if (captured.size() == captured_samples) break;
      const bool at_random = captured.size() % 2 == 0;
      captured.push_back({"sample of " + prediction.Name(), prediction.Name(), "",
                          "group of " + prediction.Name(), SplitOf(captured.size()),
                          at_random ? "random" : "uncertain", at_random ? 0.2 : 0, false});
    }
    return captured;
  }
  Result<std::string> NewestDataset(const std::string& /*name*/) override { return newest_dataset; }
  Result<std::uint64_t> CountNewItems(const std::string& /*id*/,
                                      const std::string& /*previous*/) override {
    if (const auto failed = Called("CountNewItems")) return *failed;
    return new_items;
  }
  Result<std::map<std::string, std::string>> LabelsOf(
      const std::string& /*name*/, std::span<const std::string> sample_ids) override {
    if (const auto failed = Called("LabelsOf")) return *failed;
    std::map<std::string, std::string> known;
    for (const auto& id : sample_ids) {
      const auto found = labels.find(id);
      known.emplace(id, found == labels.end() ? "red" : found->second);
    }
    return known;
  }
  Result<std::uint64_t> CountNewLabels(const std::string& /*name*/) override { return new_labels; }
  Result<std::vector<GateSample>> GateSamples(
      const std::string& /*run_id*/, const std::string& /*previous*/,
      std::span<const std::string> /*slice_keys*/) override {
    if (const auto failed = Called("GateSamples")) return *failed;
    return gate_samples;
  }
  Result<std::vector<GateSample>> GateSamplesOf(
      const std::string& /*run_id*/, const std::string& /*baseline_run_id*/,
      const std::string& /*previous*/, std::span<const std::string> /*slice_keys*/) override {
    if (const auto failed = Called("GateSamplesOf")) return *failed;
    return gate_samples;
  }

  TaskPolicy task;
  std::map<std::string, ModelFacts> models;
  std::string production;
  Timestamp serving_since{};
  std::string rollout;             // What is set now: "canary 0.100000".
  std::set<std::string> rollouts;  // Whatever was set.
  std::vector<std::string> promotions;
  std::map<std::string, GateVerdict> gates;
  SignOffs sign_offs;
  std::vector<RankedPrediction> traffic;
  std::set<std::string> ranked_orders;
  std::set<std::string> comparisons;
  ComparisonFacts comparison;
  double share_with_outcome = 0;
  std::string slice;
  std::map<std::string, BatchFacts> batches;
  std::map<std::string, std::uint32_t> votes_wanted;
  std::map<std::string, std::string> labels;  // Those that are not red.
  std::uint32_t asked = 0;
  std::uint32_t asked_again = 0;
  bool annotators_work = true;
  std::map<std::string, std::string> datasets;
  std::size_t captured_samples = 1'000;
  std::size_t without_held_out = 0;  // So many of the first are all for training.
  std::string newest_dataset = "dataset-0";
  std::uint64_t new_items = 20;
  std::uint64_t new_labels = 0;
  std::vector<GateSample> gate_samples;

  int calls = 0;
  int fails_before_call = 0;  // The how manyeth call; 0: none.
  int fails_after_call = 0;   // It has its effect, and the answer is lost.
  std::string refused_call;   // Always answers `refusal`.
  Error refusal{ErrorCode::kInvalidArgument, "refused"};

 private:
  /// Of forty, eight are in the test split, four of them captured at random.
  std::string SplitOf(std::size_t number) const {
    if (number < without_held_out) return "training";
    return number % 10 < 2 ? "test" : number % 20 == 2 ? "validation" : "training";
  }
  std::optional<Error> Called(const std::string& name) {
    ++calls;
    if (name == refused_call) return refusal;
    if (calls == fails_before_call) return Error{ErrorCode::kUnavailable, name + " is away"};
    return std::nullopt;
  }
  std::optional<Error> Did() const {
    if (calls == fails_after_call) return Error{ErrorCode::kUnavailable, "the answer is lost"};
    return std::nullopt;
  }
};

}  // namespace tidewheel::training
