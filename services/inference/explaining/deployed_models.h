#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>

#include "tidewheel/inference/domain/deployment.h"
#include "tidewheel/inference/domain/gradient_engine.h"
#include "tidewheel/inference/explaining/explainable_model.h"

namespace tidewheel::inference {

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
