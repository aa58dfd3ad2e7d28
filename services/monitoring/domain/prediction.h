#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/clock.h"

namespace tidewheel::monitoring {

/// Which model answered for which task.
struct ModelKey {
  std::string task;
  std::string model_version_id;

  friend auto operator<=>(const ModelKey&, const ModelKey&) = default;
};

/// Who saw an answer. A shadow's was seen by nobody and is no part of the traffic.
enum class Role : std::uint8_t { kProduction = 0, kCanary = 1, kShadow = 2 };

/// "production", "canary", "shadow".
std::string_view Name(Role role);
std::optional<Role> RoleNamed(std::string_view name);

/// A number that was measured on an input.
struct Measure {
  std::string name;
  double value = 0;

  friend bool operator==(const Measure&, const Measure&) = default;
};

/// One answer: one picture or row of a request.
struct Prediction {
  std::string request_id;
  std::uint32_t index = 0;  // Within the request, from 0.
  ModelKey model;
  /// All that the model knows, in the order of its answers.
  std::shared_ptr<const std::vector<std::string>> classes;
  std::uint32_t class_index = 0;  // Below the number of classes.
  double confidence = 0;
  std::vector<float> probabilities;
  Timestamp predicted_at{};
  std::string payload_sha256;  // Empty for rows.
  std::vector<Measure> measures;
  std::vector<float> embedding;
  std::vector<std::string> quality_problems;
  Role role = Role::kProduction;
  double seconds = 0;
  std::optional<std::uint32_t> answered_class_index;  // Of a shadow: what the client was told.
  std::map<std::string, std::string> metadata;        // As the request had it; not stored.
  std::vector<std::string> slices;                    // "key=value"; made of the metadata.
  std::string outcome_class_name;                     // Empty while unknown.
  std::optional<Timestamp> outcome_at;

  const std::string& class_name() const { return (*classes)[class_index]; }
};

/// A request that got no answer.
struct Failure {
  std::string request_id;
  ModelKey model;
  Timestamp failed_at{};
  Role role = Role::kProduction;
  double seconds = 0;
  std::string error;  // "INTERNAL".
};

/// What turned out to be true of one answer, as one source says.
struct Outcome {
  std::string request_id;
  std::uint32_t index = 0;
  std::string class_name;
  std::string source;
  Timestamp observed_at{};
};

/// Sums over some predictions of one model. Whole numbers, so that no order of adding matters.
struct Tally {
  std::uint64_t predictions = 0;
  std::uint64_t confidence_sum = 0;  // In 1e-9.
  std::uint64_t outcomes = 0;
  std::uint64_t correct = 0;
  std::map<std::string, std::uint64_t> by_class;

  double MeanConfidence() const;
  /// Absent without outcomes.
  std::optional<double> Accuracy() const;
};

/// Consecutive predictions of one model in event time.
struct Window {
  ModelKey model;
  std::string slice;         // Empty: all traffic.
  std::string kind;          // "count" or "time".
  std::uint64_t number = 0;  // By count: from 1. By time: event time over the length.
  bool closed = false;
  bool judged = false;  // Only closed ones; judged again when rows came late.
  Timestamp first_at{};
  Timestamp last_at{};
  Tally tally;
  std::optional<double> estimated_accuracy;  // As judgement noted it, with its interval.
  double estimated_low = 0;
  double estimated_high = 0;
  std::map<std::string, double> drift;
};

/// Everything seen of one model but shadow answers.
struct ModelSummary {
  ModelKey model;
  Tally tally;
  Timestamp last_at{};
};

/// How long after a prediction its outcome was observed, over a model's newest joined outcomes.
struct LabelDelay {
  ModelKey model;
  std::uint64_t outcomes = 0;
  double median_seconds = 0;
  double mean_seconds = 0;
};

}  // namespace tidewheel::monitoring
