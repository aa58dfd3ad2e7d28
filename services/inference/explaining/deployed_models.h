#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "tidewheel/inference/domain/deployment.h"
#include "tidewheel/inference/explaining/explainable_model.h"

namespace tidewheel::inference {

/// Gradients of a package, where there is an engine for them.
class GradientEngine {
 public:
  virtual ~GradientEngine() = default;
  /// As ExplainableModel::Gradients.
  virtual Result<void> Gradients(std::span<const std::int64_t> row_shape,
                                 std::span<const float> rows, std::size_t count,
                                 std::size_t class_index, std::span<double> probabilities,
                                 std::span<float> gradients) = 0;
};
using OpenGradients =
    std::function<Result<std::unique_ptr<GradientEngine>>(const ModelPackage& package)>;

/// Copies of what the registry deploys, loaded when they are first asked for and kept until others
/// are asked: an explanation of the same version finds it loaded. While the registry is away the
/// copies that are kept go on. Not thread-safe: the queue's thread alone asks.
class DeployedModels final : public ExplainableModels {
 public:
  static constexpr std::size_t kKept = 2;

  /// All must outlive it. `open_gradients` may be empty; it is called when gradients are first
  /// wanted of a copy.
  DeployedModels(DeploymentSource& source, ModelLoader& loader, OpenGradients open_gradients)
      : source_(source), loader_(loader), open_gradients_(std::move(open_gradients)) {}

  Result<std::shared_ptr<ExplainableModel>> For(const std::string& task) override;

 private:
  struct Copy {
    std::string task;
    std::string model_version_id;
    std::shared_ptr<ExplainableModel> model;
  };

  DeploymentSource& source_;
  ModelLoader& loader_;
  const OpenGradients open_gradients_;
  std::list<Copy> copies_;  // The last that was asked first.
};

}  // namespace tidewheel::inference
