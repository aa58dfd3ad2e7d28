#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/domain/served_model.h"
#include "tidewheel/serving/engine.h"

namespace tidewheel::inference {

/// Runs rows of one loaded package. Thread-safe.
class RowRunner {
 public:
  virtual ~RowRunner() = default;
  /// As serving::Model::Infer, and kResourceExhausted: too many wait.
  virtual Result<void> Run(std::span<const float> input, std::size_t rows, std::span<float> output,
                           std::span<float> embedding) const = 0;
};

/// Takes packages in that were loaded and checked: from then on their rows go through it.
class PackageHost {
 public:
  virtual ~PackageHost() = default;
  /// The package is served until the runner goes.
  virtual Result<std::unique_ptr<const RowRunner>> Host(
      const ModelIdentity& identity, std::shared_ptr<const serving::Model> model) = 0;
};

}  // namespace tidewheel::inference
