#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::inference {

enum class ExplanationMethod { kUsual, kLime, kIntegratedGradients, kOcclusion };
/// "lime", "integrated_gradients", "occlusion"; kUsual is "usual".
std::string_view Name(ExplanationMethod method);

struct ExplanationLimits {
  static constexpr std::chrono::milliseconds kUsualTime{2'000};
  static constexpr std::chrono::milliseconds kMostTime{30'000};
  static constexpr std::size_t kMostSamples = 20'000;
  static constexpr std::size_t kMostBackgroundRows = 10'000;
};

/// Rows of numbers, rows first.
struct NumberRows {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

/// One input to explain; it owns what it holds, as it waits in a queue.
struct ExplainRequest {
  std::string task;
  std::string picture;                   // Encoded; empty: `row`.
  std::optional<NumberRows> row;         // One row, preprocessed.
  std::optional<NumberRows> background;  // Of a table: rows that say how columns spread.
  ExplanationMethod method = ExplanationMethod::kUsual;
  std::string class_name;  // Empty: the one that is predicted.
  std::chrono::milliseconds time{ExplanationLimits::kUsualTime};
  std::size_t samples = 0;  // Changed inputs of LIME; 0: the method's own number.
  std::size_t most = 0;     // Parts to name; 0: all.
  std::uint64_t seed = 1;
};

struct PartWeight {
  std::size_t part = 0;
  double weight = 0;
  std::optional<double> standard_error{};
};

struct Explanation {
  std::string model_version_id;
  std::uint32_t model_version = 0;
  std::string class_name;
  double probability = 0;  // Of that class, for the input as it is.
  ExplanationMethod method = ExplanationMethod::kLime;
  /// Superpixels or columns, the heaviest first; empty for maps.
  std::vector<PartWeight> parts;
  /// In the size that the model takes; 0 for tables.
  std::size_t height = 0;
  std::size_t width = 0;
  std::vector<std::uint32_t> regions;  // Height x width: the part that a pixel belongs to.
  std::vector<double> map;  // Height x width, or one a column: integrated gradients (over
                            // channels) and occlusion; NaN where nothing was asked.
  /// How far it is to be believed; what the method does not have is absent.
  std::optional<double> r_squared;
  std::optional<double> gap;
  std::size_t asked = 0;     // Changed inputs, squares or steps.
  std::size_t possible = 0;  // That had been asked without a limit of time.
  bool complete = true;
  std::chrono::nanoseconds took{};
};

/// kInvalidArgument names the part of the request and its limit.
Result<void> Check(const ExplainRequest& request);

}  // namespace tidewheel::inference
