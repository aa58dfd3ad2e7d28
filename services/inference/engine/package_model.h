#pragma once

#include <memory>

#include "tidewheel/inference/domain/served_model.h"
#include "tidewheel/serving/engine.h"
#include "tidewheel/vision/preprocess.h"

namespace tidewheel::inference {

/// A model package in memory: the preprocessing that training ran, and the graph it made.
class PackageModel final : public ServedModel {
 public:
  PackageModel(ModelIdentity identity, vision::PreprocessSpec preprocessing,
               std::unique_ptr<serving::Model> model)
      : identity_(std::move(identity)),
        preprocessing_(std::move(preprocessing)),
        model_(std::move(model)) {}

  const ModelIdentity& identity() const override { return identity_; }
  Result<std::vector<Answer>> PredictPictures(
      std::span<const std::string_view> payloads) const override;
  Result<std::vector<Answer>> PredictRows(std::span<const std::int64_t> shape,
                                          std::span<const float> values) const override;

 private:
  /// One answer per row, without digest and measures.
  Result<std::vector<Answer>> Run(std::span<const float> input, std::size_t rows) const;

  const ModelIdentity identity_;
  const vision::PreprocessSpec preprocessing_;
  const std::unique_ptr<serving::Model> model_;
};

}  // namespace tidewheel::inference
