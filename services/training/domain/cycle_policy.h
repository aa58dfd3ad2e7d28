#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tidewheel/training/domain/gate_evaluation.h"

namespace tidewheel::training {

/// How a candidate gets traffic.
struct RolloutPolicy {
  std::uint32_t shadow_predictions = 0;  // 0: no shadow.
  double max_shadow_disagreement = 0.5;
  std::vector<double> canary_shares;       // Rising, each in (0, 1).
  std::uint32_t canary_predictions = 200;  // At each share.
  double alpha = 0.05;                     // Of the whole rollout.
  double max_accuracy_loss = 0.02;
  double max_error_increase = 0.01;
  double max_latency_ratio = 3;
  double step_seconds = 3'600;
};

/// What starts a turn of the loop and what it may cost; as the task declares it.
struct CyclePolicy {
  bool enabled = false;
  std::vector<std::string> alert_causes;
  double min_damage = 0.01;
  std::uint32_t new_labels = 0;  // 0: labels start none.
  double schedule_hours = 0;     // 0: time starts none.
  double cooldown_seconds = 3'600;
  std::uint32_t max_labels = 500;
  double max_cpu_seconds = 3'600;
  std::uint32_t max_labels_per_day = 0;  // Of all cycles of the last 24 hours; 0: no limit.
  double max_cpu_seconds_per_day = 0;
  std::uint32_t votes_per_sample = 1;
  double review_share = 0;  // Of the labels: kept for more votes on doubtful ones.
  double collect_seconds = 600;
  std::uint32_t collect_samples = 200;
  double label_seconds = 86'400;
  double acquire_test = 0.25;  // Of the labels, for these splits; drawn at random.
  double acquire_validation = 0.1;
  double acquire_uncertain = 0.4;  // Of the others, which are for training; these sum to 1.
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
};

/// One version of a task, as far as cycles ask for it.
struct TaskPolicy {
  std::string task;
  std::uint32_t version = 0;
  std::vector<std::string> classes;
  GatePolicy gate;
  std::vector<std::string> slice_keys;  // Metadata whose values make slices for the gate.
  CyclePolicy cycle;
  // Whether the task's splits give any sample of traffic to these.
  bool has_test_split = true;
  bool has_validation_split = true;
};

}  // namespace tidewheel::training
