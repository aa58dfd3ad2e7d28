#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/training/domain/cycle.h"
#include "tidewheel/training/domain/cycle_policy.h"
#include "tidewheel/training/domain/run.h"

namespace tidewheel::training {

// What a cycle asks of others. Every call may be repeated: what it makes has an id of the cycle's.
// A transient error says that the other one is away; any other one is for good.

struct ModelFacts {
  std::string model_version_id{};
  std::string task{};
  std::string run_id{};
  std::string dataset_version_id{};
  std::vector<PackageFileRef> files{};
};

/// What answers a task's requests now.
struct ServingFacts {
  std::optional<ModelFacts> production;
  Timestamp since{};                       // When it was promoted.
  std::string candidate_model_version_id;  // Of the rollout; empty: none.
};

struct GateRecord {
  std::string evaluation_id{};
  std::string model_version_id{};
  std::string baseline_model_version_id{};
  std::string dataset_version_id{};
  std::vector<GateCriterion> criteria{};
  std::string actor{};
};

struct SignOffs {
  std::vector<std::string> missing_roles{};
  std::string refused_by{};  // "role (person: reason)"; empty: nobody refused.
};

struct RolloutWish {
  std::string model_version_id{};
  std::string stage{};  // "shadow" or "canary".
  double share = 0;
  std::string actor{};
  std::string reason{};
  std::string override_reason{};
};

/// The model registry's side.
class ModelDesk {
 public:
  virtual ~ModelDesk() = default;
  /// `version` 0: the newest.
  virtual Result<TaskPolicy> FindTask(const std::string& task, std::uint32_t version) = 0;
  /// Names of all tasks whose newest version has cycles enabled.
  virtual Result<std::vector<std::string>> ListCycleTasks() = 0;
  virtual Result<ServingFacts> FindServing(const std::string& task) = 0;
  virtual Result<ModelFacts> FindModelVersion(const std::string& id) = 0;
  /// The verdict that the registry comes to.
  virtual Result<GateVerdict> RecordGate(const GateRecord& record) = 0;
  virtual Result<SignOffs> FindSignOffs(const std::string& model_version_id) = 0;
  virtual Result<void> SetRollout(const RolloutWish& wish) = 0;
  /// Does nothing when another candidate has the rollout by now.
  virtual Result<void> ClearRollout(const std::string& task, const std::string& model_version_id,
                                    const std::string& actor, const std::string& reason) = 0;
  virtual Result<void> Promote(const std::string& model_version_id, const std::string& actor,
                               const std::string& override_reason) = 0;
};

struct RankedPrediction {
  std::string request_id;
  std::uint32_t index = 0;
  std::string payload_sha256;
  double score = 0;
  std::vector<float> embedding{};  // Where it was asked for and the model has one.

  std::string Name() const { return request_id + "#" + std::to_string(index); }
};

struct RankQuestion {
  std::string task{};
  std::string model_version_id{};
  std::optional<Timestamp> since{};
  std::string order{};  // "uncertain", "drifted" or "random".
  std::string slice{};
  std::uint64_t seed = 0;
  std::uint32_t count = 0;
  bool with_embeddings = false;
};

struct ComparisonWish {
  std::string comparison_id{};
  std::string task{};
  std::string candidate_model_version_id{};
  std::string baseline_model_version_id{};
  std::string stage{};
  double alpha = 0.05;
  double max_accuracy_loss = 0;
  double max_error_increase = 0;
  double max_latency_ratio = 0;
  double max_disagreement = 1;
};

struct ComparisonFacts {
  std::uint64_t candidate_predictions = 0;
  std::uint64_t disagreements = 0;
  std::uint64_t candidate_outcomes = 0;
  std::uint64_t candidate_correct = 0;
  std::uint64_t baseline_outcomes = 0;
  std::uint64_t baseline_correct = 0;
  std::uint64_t candidate_errors = 0;
  std::uint64_t baseline_predictions = 0;
  std::uint64_t baseline_errors = 0;
  std::optional<double> accuracy_difference{};
  std::string verdict{};  // "undecided", "harmful" or "harmless".
  std::string reason{};
};

/// Monitoring's side.
class TrafficWatch {
 public:
  virtual ~TrafficWatch() = default;
  /// Best first, without inputs that break a quality rule.
  virtual Result<std::vector<RankedPrediction>> Rank(const RankQuestion& question) = 0;
  virtual Result<void> StartComparison(const ComparisonWish& wish) = 0;
  virtual Result<ComparisonFacts> FindComparison(const std::string& comparison_id) = 0;
  /// Of a model version's predictions, how many became an outcome; 0 to 1.
  virtual Result<double> ShareWithOutcome(const std::string& task,
                                          const std::string& model_version_id) = 0;
  /// The slice that an alert's most damaging finding is about, "key=value"; empty: all traffic.
  virtual Result<std::string> FindSliceOf(const std::string& alert_id) = 0;
};

struct BatchWish {
  std::string batch_id{};
  std::string task{};
  std::vector<CycleSample> samples{};  // The most wanted first.
  std::uint32_t votes_per_sample = 1;
  std::uint32_t max_votes = 0;
  bool ask_again = false;  // Samples that have a label are asked too.
};

struct BatchFacts {
  std::uint32_t items = 0;
  std::uint32_t answered = 0;
  std::uint32_t votes = 0;
  std::uint32_t labels = 0;
  std::string state{};           // "open", "complete" or "cancelled".
  bool labels_are_made = false;  // Of the votes that came, also where it was cancelled.
};

/// Labeling's side.
class LabelQueue {
 public:
  virtual ~LabelQueue() = default;
  virtual Result<BatchFacts> Enqueue(const BatchWish& wish) = 0;
  /// kNotFound.
  virtual Result<BatchFacts> Find(const std::string& batch_id) = 0;
  virtual Result<void> Cancel(const std::string& batch_id, const std::string& reason) = 0;
};

struct DatasetWish {
  std::string request_id{};
  std::string task{};
  std::string previous_dataset_version_id{};
  double new_sample_weight = 1;
  std::string description{};
  std::string actor{};
};

/// Curation's side.
class DatasetDesk {
 public:
  virtual ~DatasetDesk() = default;
  /// The dataset version's id.
  virtual Result<std::string> Build(const DatasetWish& wish) = 0;
};

/// A sample that was captured from traffic.
struct CapturedSample {
  std::string sample_id;
  std::string name;  // "request#index" that it stands for.
  std::string sha256;
  std::string group;
  std::string split;             // "training", "validation" or "test", for good.
  std::string captured_because;  // Of that request: "random" or another reason.
  double inclusion_probability = 0;
  bool known = false;  // The previous dataset version holds it.
};

/// What the views of ingestion, labeling and curation say.
class SampleCatalogue {
 public:
  virtual ~SampleCatalogue() = default;
  /// The active samples behind these predictions, by name or by content.
  virtual Result<std::vector<CapturedSample>> FindCaptured(
      const std::string& task, const std::string& previous_dataset_version_id,
      std::span<const RankedPrediction> predictions) = 0;
  /// The task's newest dataset version; empty: none.
  virtual Result<std::string> NewestDataset(const std::string& task) = 0;
  /// Items that `previous` does not hold with this class.
  virtual Result<std::uint64_t> CountNewItems(const std::string& dataset_version_id,
                                              const std::string& previous) = 0;
  /// Names of the classes of those that have a label, by sample.
  virtual Result<std::map<std::string, std::string>> LabelsOf(
      const std::string& task, std::span<const std::string> sample_ids) = 0;
  /// Labels decided since the task's newest dataset version was built.
  virtual Result<std::uint64_t> CountNewLabels(const std::string& task) = 0;
  /// Validation and test samples with both models' answers. Of a run of a cycle: as the run stored
  /// them.
  virtual Result<std::vector<GateSample>> GateSamples(const std::string& run_id,
                                                      const std::string& previous,
                                                      std::span<const std::string> slice_keys) = 0;
  /// Of a model that was there already: what two runs answered on the samples both were evaluated
  /// on; the baseline's run tells the truth.
  virtual Result<std::vector<GateSample>> GateSamplesOf(
      const std::string& run_id, const std::string& baseline_run_id, const std::string& previous,
      std::span<const std::string> slice_keys) = 0;
};

}  // namespace tidewheel::training
