#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"

namespace tidewheel::training {

enum class RunState { kQueued, kRunning, kSucceeded, kFailed, kCancelled };
/// "queued", "running" and so on: words of tables and events.
std::string_view Name(RunState state);
std::optional<RunState> RunStateFrom(std::string_view name);
/// Succeeded, failed or cancelled.
bool HasEnded(RunState state);

/// Absent: the recipe's default.
struct Hyperparameters {
  std::optional<std::uint32_t> epochs;
  std::optional<std::uint32_t> batch_size;
  std::optional<double> learning_rate;
  std::optional<double> weight_decay;
  std::optional<std::uint32_t> patience;
  std::optional<bool> class_weights;

  friend bool operator==(const Hyperparameters&, const Hyperparameters&) = default;
};

struct Progress {
  std::string phase;  // "preparing", "training", "evaluating", "packaging".
  std::uint64_t steps_done = 0;
  std::uint64_t steps_total = 0;
  std::uint32_t epoch = 0;
  std::uint32_t epochs = 0;
  double training_loss = 0;
  double validation_metric = 0;
  double samples_per_second = 0;
  double seconds_left = 0;
};

/// A number with its 95 % interval.
struct Metric {
  std::string name;
  double value = 0;
  double low = 0;
  double high = 0;
  std::string interval;  // "wilson", "bootstrap".
};

struct Evaluation {
  std::string split;
  std::uint64_t samples = 0;
  std::vector<Metric> metrics;
  std::vector<std::uint64_t> confusion;  // Given class, then predicted class.
};

/// One file of a model package, in the payload store.
struct PackageFileRef {
  std::string name;
  std::string payload_ref;

  friend bool operator==(const PackageFileRef&, const PackageFileRef&) = default;
};

/// The model version that serves the task, to be asked about the same samples as the candidate.
struct BaselinePackage {
  std::string model_version_id;
  std::vector<PackageFileRef> files;

  friend bool operator==(const BaselinePackage&, const BaselinePackage&) = default;
};

/// A test of a model's behaviour on the test split, as the task's gate declares it.
struct BehaviourTest {
  enum class Kind { kMinimumFunction, kInvariance, kDirection };
  std::string name;
  Kind kind = Kind::kMinimumFunction;
  std::string metadata_key{};
  std::string metadata_value{};
  std::string transform{};
  double amount = 0;
  double min_share = 0;

  friend bool operator==(const BehaviourTest&, const BehaviourTest&) = default;
};

/// How a model did in a behaviour test.
struct TestResult {
  std::string name;
  std::uint64_t samples = 0;
  std::uint64_t passed = 0;
  std::string not_evaluated{};  // Why, when it could not be: no samples.

  friend bool operator==(const TestResult&, const TestResult&) = default;
};

/// What a run is asked to be.
struct RunRequest {
  std::string request_id;
  std::string dataset_version_id;
  std::string recipe;
  std::uint64_t seed = 0;
  Hyperparameters hyperparameters;
  std::string actor;
  std::optional<BaselinePackage> baseline{};
};

/// The dataset version a run trains on.
struct DatasetVersion {
  std::string id;
  std::string task;
  std::string digest;
  std::uint64_t items = 0;
  std::vector<std::string> classes;
};

struct Run {
  std::string id;
  RunRequest request;
  DatasetVersion dataset;
  RunState state = RunState::kQueued;
  std::string reason;
  Progress progress;
  std::vector<Evaluation> evaluations;
  Hyperparameters effective;  // Once it has trained: defaults filled in.
  std::string code_version;
  bool code_clean = false;
  std::string build;
  std::string model_version_id;
  Timestamp queued_at{};
  std::optional<Timestamp> started_at;
  std::optional<Timestamp> ended_at;
  std::uint32_t attempt = 0;
  std::uint32_t best_epoch = 0;
  double training_seconds = 0;
  bool cancel_requested = false;
  std::vector<TestResult> tests;
  double cpu_seconds = 0;  // Of the worker's whole process, once it has ended.
};

/// The probabilities of one validation or test sample.
struct RunPrediction {
  std::uint64_t ordinal = 0;  // Of the dataset's item.
  std::string sample_id;
  std::string split;
  std::uint32_t given_class = 0;
  std::uint32_t predicted_class = 0;
  std::vector<float> probabilities;
  std::vector<float> baseline_probabilities{};  // Empty without a baseline.
};

}  // namespace tidewheel::training
