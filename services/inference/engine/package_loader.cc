#include "tidewheel/inference/engine/package_loader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "tidewheel/inference/engine/package_files.h"
#include "tidewheel/inference/engine/package_model.h"
#include "tidewheel/ml/package/golden.h"
#include "tidewheel/ml/package/manifest.h"
#include "tidewheel/training/v1/profile.pb.h"
#include "tidewheel/vision/preprocess_entries.h"

namespace tidewheel::inference {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

/// What the registry, the manifest and the graph say of the model must be one thing.
Result<void> CheckAgree(const ModelPackage& package, const ml::PackageManifest& manifest,
                        const vision::PreprocessSpec& preprocessing, const serving::Model& model) {
  if (manifest.task != package.model.task) {
    return Bad("the package is for task " + manifest.task + ", deployed for " + package.model.task);
  }
  if (manifest.classes != package.model.classes) {
    return Bad("the package's classes are not those of the deployment");
  }
  if (model.signature().output.elements() != manifest.classes.size()) {
    return Bad("the graph answers " + std::to_string(model.signature().output.elements()) +
               " numbers a row, the package has " + std::to_string(manifest.classes.size()) +
               " classes");
  }
  if (model.signature().input.elements() != preprocessing.OutputSize()) {
    return Bad("the graph takes " + std::to_string(model.signature().input.elements()) +
               " numbers a row, the preprocessing makes " +
               std::to_string(preprocessing.OutputSize()));
  }
  return {};
}

}  // namespace

Result<std::optional<EmbeddingReference>> PackageLoader::ReadReference(
    const ModelPackage& package, const serving::Model& model) const {
  const bool there =
      std::any_of(package.files.begin(), package.files.end(),
                  [](const PackageFile& file) { return file.name == ml::kProfileFile; });
  const auto& embedding = model.signature().embedding;
  if (!there || !embedding) return std::optional<EmbeddingReference>();
  const auto bytes = ReadPackageFile(payloads_, package, ml::kProfileFile);
  if (!bytes) return bytes.error();
  training::v1::ReferenceProfile profile;
  if (!profile.ParseFromString(*bytes)) return Bad("profile.pb: not a reference profile");
  const auto& known = profile.embedding();
  if (known.numbers() == 0) return std::optional<EmbeddingReference>();
  if (known.numbers() != embedding->elements() ||
      static_cast<std::size_t>(known.mean_size()) != known.numbers()) {
    return Bad("profile.pb: embeddings of " + std::to_string(known.numbers()) + " numbers with " +
               std::to_string(known.mean_size()) + " means, the graph gives " +
               std::to_string(embedding->elements()));
  }
  auto reference = EmbeddingReference::Create(
      {known.mean().data(), static_cast<std::size_t>(known.mean_size())},
      {known.covariance().data(), static_cast<std::size_t>(known.covariance_size())},
      {known.distance_quantiles().begin(), known.distance_quantiles().end()});
  if (!reference) return Prefixed("profile.pb: embedding: ", reference.error());
  return std::optional(*std::move(reference));
}

Result<std::shared_ptr<const ServedModel>> PackageLoader::Load(const ModelPackage& package) {
  const auto yaml = ReadPackageFile(payloads_, package, ml::kManifestFile);
  if (!yaml) return yaml.error();
  const auto manifest = ml::ParsePackageManifest(*yaml);
  if (!manifest) return manifest.error();
  const auto preprocessing = vision::FromEntries(manifest->preprocessing);
  if (!preprocessing) return preprocessing.error();

  const auto chosen = ChooseVariant(*manifest, wanted_, engine_.HasBf16(), kGoldenTolerance);
  if (!chosen) return chosen.error();
  const auto onnx = ReadPackageFile(payloads_, package, chosen->file);
  if (!onnx) return onnx.error();
  auto model = engine_.LoadBytes(*onnx, chosen->precision);
  if (!model) return model.error();
  if (const auto agree = CheckAgree(package, *manifest, *preprocessing, **model); !agree) {
    return agree.error();
  }

  const auto golden_bytes = ReadPackageFile(payloads_, package, ml::kGoldenFile);
  if (!golden_bytes) return golden_bytes.error();
  const auto golden = ml::ParseGoldenSamples(*golden_bytes);
  if (!golden) return golden.error();
  const auto verified = (*model)->VerifyGolden(golden->inputs, golden->rows, golden->probabilities,
                                               chosen->tolerance);
  if (!verified) return Prefixed("golden samples: ", verified.error());

  auto reference = ReadReference(package, **model);
  if (!reference) return reference.error();

  ReadyPackage ready{package.model, *std::move(model), chosen->name};
  std::unique_ptr<const RowRunner> runner;
  if (host_ != nullptr) {
    auto hosted = host_->Host(ready);
    if (!hosted) return hosted.error();
    runner = *std::move(hosted);
  }
  return std::shared_ptr<const ServedModel>(std::make_shared<PackageModel>(
      std::move(ready), *preprocessing, *std::move(reference), std::move(runner)));
}

}  // namespace tidewheel::inference
