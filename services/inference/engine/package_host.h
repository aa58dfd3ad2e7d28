#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/domain/served_model.h"
#include "tidewheel/serving/engine.h"

namespace tidewheel::inference {

/// What came out for rows.
struct RowAnswers {
  std::vector<float> probabilities;
  std::vector<float> embedding;  // Empty for packages without.
};

/// Runs rows of one loaded package. Thread-safe.
class RowRunner {
 public:
  using Answered = std::function<void(Result<RowAnswers>)>;
  virtual ~RowRunner() = default;
  /// `answered` is called exactly once, from any thread and perhaps before this returns, and must
  /// not block; `input` stays until then. As serving::Model::Infer, and kResourceExhausted: too
  /// many wait; kDeadlineExceeded and kCancelled as the terms say.
  virtual void Start(std::span<const float> input, std::size_t rows, const CallTerms& terms,
                     Answered answered) const = 0;
};

/// A package that was loaded and checked.
struct ReadyPackage {
  ModelIdentity identity;
  std::shared_ptr<const serving::Model> model;
  std::string variant = "f32";
};

/// Takes packages in: from then on their rows go through it.
class PackageHost {
 public:
  virtual ~PackageHost() = default;
  /// The package is served until the runner goes.
  virtual Result<std::unique_ptr<const RowRunner>> Host(const ReadyPackage& package) = 0;
};

}  // namespace tidewheel::inference
