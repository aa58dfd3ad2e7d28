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
  PackageModel(ReadyPackage package, vision::PreprocessSpec preprocessing,
               std::optional<EmbeddingReference> reference,
               std::unique_ptr<const RowRunner> runner);

  const ModelIdentity& identity() const override { return package_.identity; }
  std::string_view variant() const override { return package_.variant; }
  Result<std::vector<Answer>> PredictPictures(std::span<const std::string_view> payloads,
                                              const QualityRules& rules) const override;
  Result<std::vector<Answer>> PredictRows(std::span<const std::int64_t> shape,
                                          std::span<const float> values) const override;
  void Start(const ModelInput& input, const QualityRules& rules, const CallTerms& terms,
             Answered answered) const override;
  const OutputNames* output_names() const override { return runner_ ? &names_ : nullptr; }
  Result<std::vector<Answer>> AnswersOf(std::span<const float> probabilities,
                                        std::span<const float> embedding) const override;
  bool rows_are_pictures() const override { return true; }
  Result<std::string> Show(std::span<const float> row) const override;
  Result<PreparedRow> Prepare(std::string_view payload) const override;
  const EmbeddingReference* reference() const override {
    return reference_ ? &*reference_ : nullptr;
  }

 private:
  struct Pictures;  // Rows that were made of pictures, and what was measured on the way.
  Result<Pictures> Decode(std::span<const std::string_view> payloads,
                          const QualityRules& rules) const;
  Result<std::size_t> CheckRows(std::span<const std::int64_t> shape,
                                std::span<const float> values) const;
  /// On the calling thread, which waits.
  Result<std::vector<Answer>> Run(std::span<const float> input, std::size_t rows) const;

  const ReadyPackage package_;
  const vision::PreprocessSpec preprocessing_;
  const OutputNames names_;
  const std::optional<EmbeddingReference> reference_;
  const std::unique_ptr<const RowRunner> runner_;
};

}  // namespace tidewheel::inference
