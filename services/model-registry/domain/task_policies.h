#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/model_registry/domain/spec_problems.h"

namespace tidewheel::model_registry {

enum class PrimaryMetric { kAccuracy, kBalancedAccuracy, kMacroF1 };
enum class ModelTestKind { kMinimumFunction, kInvariance, kDirection };

/// A test of behaviour on the test split (Ribeiro et al. 2020).
struct ModelTest {
  std::string name;
  ModelTestKind kind = ModelTestKind::kMinimumFunction;
  std::string metadata_key;  // Empty: every sample.
  std::string metadata_value;
  std::string transform;  // "brighten", "darken", "shift", "blur" or "noise".
  double amount = 0;      // Share of full scale; of shift pixels, of blur the sigma in pixels.
  double min_share = 1;   // Of the samples that must pass.

  friend bool operator==(const ModelTest&, const ModelTest&) = default;
};

/// The bar that was agreed up front.
struct GatePolicy {
  PrimaryMetric primary_metric = PrimaryMetric::kBalancedAccuracy;
  double min_primary_metric = 0;
  double min_class_recall = 0;
  double max_loss = 0.01;  // Of accuracy on the old condition, 0 to 1.
  double alpha = 0.05;     // Of the whole comparison.
  std::uint32_t min_samples = 10;
  bool require_better_on_new = true;
  std::vector<std::string> slice_keys;  // Metadata keys whose values make slices.
  std::vector<ModelTest> tests;

  friend bool operator==(const GatePolicy&, const GatePolicy&) = default;
};

struct MonitoringPolicy {
  std::uint32_t window_predictions = 200;
  double window_seconds = 0;  // 0: no windows of event time.
  double lateness_seconds = 2;
  double max_false_alarms = 1;  // In `false_alarm_days` at `predictions_per_day`.
  double false_alarm_days = 30;
  double predictions_per_day = 10'000;
  std::vector<std::string> slice_keys;
  double silence_seconds = 0;  // 0: never.
  std::vector<std::string> webhooks;

  friend bool operator==(const MonitoringPolicy&, const MonitoringPolicy&) = default;
};

/// Which inputs of traffic are kept. Shares are of all traffic; 0 is off.
struct CapturePolicy {
  double random_share = 0;
  double uncertain_below = 0;
  double out_of_distribution_quantile = 0;
  std::uint32_t max_per_minute = 600;

  friend bool operator==(const CapturePolicy&, const CapturePolicy&) = default;
};

/// How a candidate gets traffic.
struct RolloutPolicy {
  std::uint32_t shadow_predictions = 0;  // 0: no shadow.
  double max_shadow_disagreement = 0.5;
  std::vector<double> canary_shares = {0.1, 0.5};
  std::uint32_t canary_predictions = 200;
  double alpha = 0.05;
  double max_accuracy_loss = 0.02;
  double max_error_increase = 0.01;
  double max_latency_ratio = 3;
  double step_seconds = 3'600;

  friend bool operator==(const RolloutPolicy&, const RolloutPolicy&) = default;
};

/// What starts a turn of the loop and what it may cost.
struct CyclePolicy {
  bool enabled = false;
  std::vector<std::string> alert_causes;
  double min_damage = 0.01;
  std::uint32_t new_labels = 0;  // 0: never.
  double schedule_hours = 0;     // 0: never.
  double cooldown_seconds = 3'600;
  std::uint32_t max_labels = 500;
  double max_cpu_seconds = 3'600;
  std::uint32_t max_labels_per_day = 0;  // Of all cycles together; 0: no limit.
  double max_cpu_seconds_per_day = 0;
  std::uint32_t votes_per_sample = 1;
  double review_share = 0;  // Of the labels: kept for more votes on doubtful ones.
  double collect_seconds = 600;
  std::uint32_t collect_samples = 200;
  double label_seconds = 86'400;
  double acquire_test = 0.25;  // Of all labels, for these splits; drawn at random.
  double acquire_validation = 0.1;
  double acquire_uncertain = 0.4;  // Of the others; these shares sum to 1.
  double acquire_drifted = 0.4;
  double acquire_slice = 0;
  double acquire_random = 0.2;
  double acquire_diverse = 0;
  std::string recipe = "image-cnn";
  std::uint64_t seed = 1;
  std::uint32_t epochs = 0;  // 0: the recipe's own.
  double new_sample_weight = 1;
  std::vector<std::string> sign_off_roles;
  RolloutPolicy rollout;

  friend bool operator==(const CyclePolicy&, const CyclePolicy&) = default;
};

/// A role that signs: 1 to 64 of a-z, 0-9, '-' and '_', a letter first.
bool IsRoleName(std::string_view name);

// Every rule that a policy breaks, under keys that begin with its section's name.
void CheckGate(const GatePolicy& policy, SpecProblems& problems);
void CheckMonitoring(const MonitoringPolicy& policy, SpecProblems& problems);
void CheckCapture(const CapturePolicy& policy, SpecProblems& problems);
void CheckCycle(const CyclePolicy& policy, SpecProblems& problems);

}  // namespace tidewheel::model_registry
