#include "tidewheel/inference/explaining/deployed_models.h"

#include <algorithm>
#include <utility>

namespace tidewheel::inference {
namespace {

class ModelCopy final : public ExplainableModel {
 public:
  ModelCopy(std::shared_ptr<const ServedModel> model, ModelPackage package, OpenGradients open)
      : model_(std::move(model)), package_(std::move(package)), open_(std::move(open)) {}

  const ModelIdentity& identity() const override { return model_->identity(); }

  Result<NumberRows> Prepare(std::string_view picture) override {
    auto prepared = model_->Prepare(picture);
    if (!prepared.ok()) return prepared.error();
    return NumberRows{std::move(prepared->shape), std::move(prepared->values)};
  }

  Result<void> Ask(std::span<const std::int64_t> row_shape, std::span<const float> rows,
                   std::size_t count, std::span<float> probabilities) override {
    std::vector<std::int64_t> shape = {static_cast<std::int64_t>(count)};
    shape.insert(shape.end(), row_shape.begin(), row_shape.end());
    const auto answers = model_->PredictRows(shape, rows);
    if (!answers.ok()) return answers.error();
    auto out = probabilities.begin();
    for (const Answer& answer : *answers) {
      out = std::copy(answer.probabilities.begin(), answer.probabilities.end(), out);
    }
    return {};
  }

  Result<void> Gradients(std::span<const std::int64_t> row_shape, std::span<const float> rows,
                         std::size_t count, std::size_t class_index,
                         std::span<double> probabilities, std::span<float> gradients) override {
    if (gradients_ == nullptr) {
      if (!open_) {
        return Error{ErrorCode::kUnimplemented, "there is no engine for gradients here"};
      }
      auto opened = open_(package_);
      if (!opened.ok()) return opened.error();
      gradients_ = *std::move(opened);
    }
    return gradients_->Gradients(row_shape, rows, count, class_index, probabilities, gradients);
  }

 private:
  const std::shared_ptr<const ServedModel> model_;
  const ModelPackage package_;
  const OpenGradients open_;
  std::unique_ptr<GradientEngine> gradients_;
};

}  // namespace

Result<std::shared_ptr<ExplainableModel>> DeployedModels::For(const std::string& task) {
  const auto kept = std::find_if(copies_.begin(), copies_.end(),
                                 [&](const Copy& copy) { return copy.task == task; });
  auto deployed = source_.List();
  if (!deployed.ok()) {
    if (kept == copies_.end()) return deployed.error();
    return kept->model;
  }
  const auto found = std::find_if(deployed->deployments.begin(), deployed->deployments.end(),
                                  [&](const Deployment& each) { return each.task == task; });
  if (found == deployed->deployments.end()) {
    if (kept != copies_.end()) copies_.erase(kept);
    return Error{ErrorCode::kNotFound, "no model serves task " + task};
  }
  const ModelPackage& package = found->production;
  if (kept != copies_.end() && kept->model_version_id == package.model.model_version_id) {
    copies_.splice(copies_.begin(), copies_, kept);
    return copies_.front().model;
  }
  if (kept != copies_.end()) copies_.erase(kept);
  if (copies_.size() == kKept) copies_.pop_back();
  auto model = loader_.Load(package);
  if (!model.ok()) return model.error();
  copies_.push_front({task, package.model.model_version_id,
                      std::make_shared<ModelCopy>(*std::move(model), package, open_gradients_)});
  return copies_.front().model;
}

}  // namespace tidewheel::inference
