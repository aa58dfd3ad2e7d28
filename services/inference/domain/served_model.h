#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::inference {

/// What a deployed model version is, apart from its weights.
struct ModelIdentity {
  std::string task;
  std::string model_version_id;
  std::uint32_t model_version = 0;  // Within the task.
  std::string package_digest;
  std::vector<std::string> classes;

  friend bool operator==(const ModelIdentity&, const ModelIdentity&) = default;
};

/// The answer for one picture or row.
struct Answer {
  std::uint32_t class_index = 0;
  std::vector<float> probabilities;        // One per class, in their order.
  std::string payload_sha256;              // Hexadecimal; empty for rows.
  std::map<std::string, double> measures;  // Of the picture; empty for rows.
};

/// A model in memory, ready to answer. Thread-safe.
class ServedModel {
 public:
  virtual ~ServedModel() = default;

  virtual const ModelIdentity& identity() const = 0;

  /// Encoded pictures, through the package's own preprocessing. kInvalidArgument names the picture
  /// that cannot be decoded, by its place.
  virtual Result<std::vector<Answer>> PredictPictures(
      std::span<const std::string_view> payloads) const = 0;

  /// Preprocessed rows: `shape` is rows first. kInvalidArgument names the expected and the given
  /// shape.
  virtual Result<std::vector<Answer>> PredictRows(std::span<const std::int64_t> shape,
                                                  std::span<const float> values) const = 0;
};

}  // namespace tidewheel::inference
