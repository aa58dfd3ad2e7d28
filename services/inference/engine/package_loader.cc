#include "tidewheel/inference/engine/package_loader.h"

#include "tidewheel/inference/engine/package_model.h"
#include "tidewheel/ml/package/golden.h"
#include "tidewheel/ml/package/manifest.h"
#include "tidewheel/vision/preprocess_entries.h"

namespace tidewheel::inference {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

/// What the registry, the manifest and the graph say of the model must be one thing.
Result<void> CheckAgree(const Deployment& deployment, const ml::PackageManifest& manifest,
                        const vision::PreprocessSpec& preprocessing, const serving::Model& model) {
  if (manifest.task != deployment.model.task) {
    return Bad("the package is for task " + manifest.task + ", deployed for " +
               deployment.model.task);
  }
  if (manifest.classes != deployment.model.classes) {
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

Result<std::string> PackageLoader::ReadFile(const Deployment& deployment,
                                            std::string_view name) const {
  for (const auto& file : deployment.files) {
    if (file.name != name) continue;
    const auto ref = blob::Ref::Parse(file.payload_ref);
    if (!ref) return Prefixed(file.name + ": ", ref.error());
    auto bytes = payloads_.Get(*ref);
    if (!bytes) return Prefixed(file.name + ": ", bytes.error());
    return bytes;
  }
  return Bad("the package has no " + std::string(name));
}

Result<std::shared_ptr<const ServedModel>> PackageLoader::Load(const Deployment& deployment) {
  const auto yaml = ReadFile(deployment, ml::kManifestFile);
  if (!yaml) return yaml.error();
  const auto manifest = ml::ParsePackageManifest(*yaml);
  if (!manifest) return manifest.error();
  const auto preprocessing = vision::FromEntries(manifest->preprocessing);
  if (!preprocessing) return preprocessing.error();

  const auto onnx = ReadFile(deployment, ml::kOnnxFile);
  if (!onnx) return onnx.error();
  auto model = engine_.LoadBytes(*onnx);
  if (!model) return model.error();
  if (const auto agree = CheckAgree(deployment, *manifest, *preprocessing, **model); !agree) {
    return agree.error();
  }

  const auto golden_bytes = ReadFile(deployment, ml::kGoldenFile);
  if (!golden_bytes) return golden_bytes.error();
  const auto golden = ml::ParseGoldenSamples(*golden_bytes);
  if (!golden) return golden.error();
  const auto verified =
      (*model)->VerifyGolden(golden->inputs, golden->rows, golden->probabilities, kGoldenTolerance);
  if (!verified) return Prefixed("golden samples: ", verified.error());

  return std::shared_ptr<const ServedModel>(
      std::make_shared<PackageModel>(deployment.model, *preprocessing, *std::move(model)));
}

}  // namespace tidewheel::inference
