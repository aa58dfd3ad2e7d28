#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <utility>
#include <vector>

#include "tidewheel/ml/internal/checkpoint_file.h"
#include "tidewheel/ml/train_options.h"

namespace tidewheel::ml {

/// The optimiser's state beside the weights.
class WeightUpdater {
 public:
  WeightUpdater(const TrainOptions& options, std::vector<at::Tensor> weights)
      : options_(options), weights_(std::move(weights)) {
    for (const at::Tensor& weight : weights_) {
      first_.push_back(at::zeros_like(weight));
      if (options.optimizer == Optimizer::kAdam) {
        second_.push_back(at::zeros_like(weight));
        steps_.push_back(at::zeros({}, at::kFloat));
      }
    }
  }

  /// Applies the gradients and forgets them.
  void Update(double learning_rate) {
    const c10::NoGradGuard no_gradients;
    std::vector<at::Tensor> gradients;
    for (const at::Tensor& weight : weights_) gradients.push_back(weight.grad());
    if (options_.optimizer == Optimizer::kAdam) {
      for (at::Tensor& step : steps_) step.add_(1);
      at::_fused_adamw_(weights_, gradients, first_, second_, {}, steps_, learning_rate, 0.9, 0.999,
                        options_.weight_decay, 1e-8, /*amsgrad=*/false, /*maximize=*/false);
    } else {
      at::_fused_sgd_(weights_, gradients, first_, options_.weight_decay, options_.momentum,
                      learning_rate, /*dampening=*/0, /*nesterov=*/false, /*maximize=*/false,
                      is_first_step_);
      is_first_step_ = false;
    }
    for (at::Tensor& weight : weights_) weight.mutable_grad() = at::Tensor();
  }

  std::vector<at::Tensor> CopyOfWeights() const {
    std::vector<at::Tensor> copies;
    for (const at::Tensor& weight : weights_) copies.push_back(weight.detach().clone());
    return copies;
  }
  void Restore(const std::vector<at::Tensor>& copies) {
    const c10::NoGradGuard no_gradients;
    for (std::size_t i = 0; i < copies.size(); ++i) weights_[i].copy_(copies[i]);
  }

  /// Everything that the next step depends on, the weights too.
  void SaveTo(TrainingState& state) const {
    for (const auto& [name, tensors] : Parts()) PutTensors(state, name, *tensors);
  }
  /// Throws where what was saved is of another architecture or optimiser.
  void Check(const TrainingState& state) const {
    for (const auto& [name, tensors] : Parts()) CheckTensors(state, name, *tensors);
  }
  void LoadFrom(const TrainingState& state, bool is_first_step) {
    for (const auto& [name, tensors] : Parts()) CopyTensors(state, name, *tensors);
    is_first_step_ = is_first_step;
  }
  bool is_first_step() const { return is_first_step_; }

 private:
  std::vector<std::pair<const char*, const std::vector<at::Tensor>*>> Parts() const {
    return {{"weight", &weights_}, {"first", &first_}, {"second", &second_}, {"steps", &steps_}};
  }

  const TrainOptions& options_;
  std::vector<at::Tensor> weights_;
  std::vector<at::Tensor> first_;   // Momentum, or Adam's first moment.
  std::vector<at::Tensor> second_;  // Adam's second moment.
  std::vector<at::Tensor> steps_;
  bool is_first_step_ = true;
};

}  // namespace tidewheel::ml
