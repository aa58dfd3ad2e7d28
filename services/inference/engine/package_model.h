#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "tidewheel/inference/domain/served_model.h"
#include "tidewheel/inference/engine/package_host.h"
#include "tidewheel/serving/engine.h"
#include "tidewheel/vision/preprocess.h"

namespace tidewheel::inference {

/// A model package in memory: the preprocessing that training ran, and the graph it made.
class PackageModel final : public ServedModel {
 public:
  /// `reference` is of the model's own embedding. `runner` runs the rows; null: the calling thread.
  PackageModel(ModelIdentity identity, vision::PreprocessSpec preprocessing,
               std::shared_ptr<const serving::Model> model,
               std::optional<EmbeddingReference> reference, std::unique_ptr<const RowRunner> runner)
      : identity_(std::move(identity)),
        preprocessing_(std::move(preprocessing)),
        model_(std::move(model)),
        reference_(std::move(reference)),
        runner_(std::move(runner)) {}

  const ModelIdentity& identity() const override { return identity_; }
  Result<std::vector<Answer>> PredictPictures(std::span<const std::string_view> payloads,
                                              const QualityRules& rules) const override;
  Result<std::vector<Answer>> PredictRows(std::span<const std::int64_t> shape,
                                          std::span<const float> values) const override;
  Result<PreparedRow> Prepare(std::string_view payload) const override;
  const EmbeddingReference* reference() const override {
    return reference_ ? &*reference_ : nullptr;
  }

 private:
  /// One answer per row, without digest and measures. kInternal: a number that is none.
  Result<std::vector<Answer>> Run(std::span<const float> input, std::size_t rows) const;

  const ModelIdentity identity_;
  const vision::PreprocessSpec preprocessing_;
  const std::shared_ptr<const serving::Model> model_;
  const std::optional<EmbeddingReference> reference_;
  const std::unique_ptr<const RowRunner> runner_;
};

}  // namespace tidewheel::inference
