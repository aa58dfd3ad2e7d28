#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"

namespace tidewheel::monitoring {

/// Which model answered for which task.
struct ModelKey {
  std::string task;
  std::string model_version_id;

  friend auto operator<=>(const ModelKey&, const ModelKey&) = default;
};

/// One answer: one picture or row of a request.
struct Prediction {
  std::string request_id;
  std::uint32_t index = 0;  // Within the request, from 0.
  ModelKey model;
  std::string class_name;
  double confidence = 0;
  std::vector<float> probabilities;
  Timestamp predicted_at{};
  std::string payload_sha256;  // Empty for rows.
  std::map<std::string, double> measures;
  std::string outcome_class_name;  // Empty while unknown.
  std::optional<Timestamp> outcome_at;
};

/// What turned out to be true of one answer, as one source says.
struct Outcome {
  std::string request_id;
  std::uint32_t index = 0;
  std::string class_name;
  std::string source;
  Timestamp observed_at{};
};

/// Sums over some predictions of one model.
struct Tally {
  std::uint64_t predictions = 0;
  double confidence_sum = 0;
  std::uint64_t outcomes = 0;
  std::uint64_t correct = 0;
  std::map<std::string, std::uint64_t> by_class;

  void Add(const Prediction& prediction);
  void AddOutcome(const std::string& predicted, const std::string& actual);

  double MeanConfidence() const;
  /// Absent without outcomes.
  std::optional<double> Accuracy() const;
};

/// A run of consecutive predictions of one model.
struct Window {
  ModelKey model;
  std::uint64_t number = 0;  // From 1.
  std::uint32_t size = 0;    // Predictions it closes at.
  Timestamp first_at{};
  Timestamp last_at{};
  Tally tally;

  bool closed() const { return tally.predictions >= size; }
};

/// Everything seen of one model.
struct ModelSummary {
  ModelKey model;
  std::uint32_t window_size = 0;
  Tally tally;
  Timestamp last_at{};
};

/// The window of a model's n-th prediction, n from 0.
std::uint64_t WindowNumber(std::uint64_t ordinal, std::uint32_t window_size);

}  // namespace tidewheel::monitoring
