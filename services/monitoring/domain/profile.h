#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/stats/moments.h"
#include "tidewheel/stats/quantile_sketch.h"

namespace tidewheel::monitoring {

/// One measured feature over the training split.
struct FeatureReference {
  std::string name;
  stats::Moments moments;
  std::optional<stats::QuantileSketch> sketch;
  std::uint64_t missing = 0;
  double min = 0;
  double max = 0;
  /// Inner cut points of the histogram, ascending, and the rows of each cell (one more than cuts).
  std::vector<double> cuts;
  std::vector<std::uint64_t> counts;
};

/// The held-out answers.
struct PredictionReference {
  /// By class, of the predicted and of the given class.
  std::vector<std::uint64_t> predicted;
  std::vector<std::uint64_t> given;
  /// Row by row: given class, then predicted class.
  std::vector<std::uint64_t> confusion;
  /// Of the top probability: cells of equal width over 0 to 1.
  std::vector<std::uint64_t> confidence_counts;
  double mean_confidence = 0;
  double accuracy = 0;
};

/// The embeddings of the held-out rows.
struct EmbeddingReference {
  std::uint32_t numbers = 0;
  std::uint64_t projection_seed = 0;
  std::vector<double> mean;
  /// Row by row.
  std::vector<double> covariance;
  /// Of squared Mahalanobis distances to that mean: quantiles at 0, 0.01, ... 1.
  std::vector<double> distance_quantiles;
};

struct ReferenceRow {
  std::string split;  // "training", "validation" or "test".
  std::uint32_t given_class = 0;
  std::vector<float> probabilities;
  std::vector<float> embedding;
  /// In the order of Profile::features; NaN where it is missing.
  std::vector<double> features;
};

/// What a model's inputs and answers looked like when it was made (profile.pb of its package).
struct Profile {
  std::vector<std::string> classes;
  std::vector<FeatureReference> features;
  PredictionReference predictions;
  EmbeddingReference embedding;
  /// A seeded random sample; those of validation and test come first.
  std::vector<ReferenceRow> rows;
  std::uint64_t training_rows = 0;
  std::uint64_t held_out_rows = 0;
  std::uint64_t seed = 0;
};

}  // namespace tidewheel::monitoring
