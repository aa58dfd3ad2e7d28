#include "tidewheel/training/worker/baseline_model.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "tidewheel/ml/model.h"
#include "tidewheel/ml/package/manifest.h"
#include "tidewheel/serving/engine.h"
#include "tidewheel/vision/preprocess_entries.h"

namespace tidewheel::training {
namespace {

constexpr std::size_t kBatch = 256;  // What ml::Model takes, so that its bits are the same.

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

/// Whether the package has the file, which then lies in `folder`.
Result<bool> Fetch(const v1::WorkerJob& job, std::string_view name, const blob::Store& payloads,
                   const std::filesystem::path& folder) {
  for (const auto& file : job.baseline_files()) {
    if (file.name() != name) continue;
    const auto ref = blob::Ref::Parse(file.payload_ref());
    if (!ref) return Prefixed(file.name() + ": ", ref.error());
    if (const auto got = payloads.GetFile(*ref, folder / name); !got) {
      return Prefixed(file.name() + ": ", got.error());
    }
    return true;
  }
  return false;
}

}  // namespace

Result<BaselineModel> BaselineModel::Load(const v1::WorkerJob& job,
                                          const std::filesystem::path& folder) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) return Error{ErrorCode::kInternal, folder.string() + ": " + failure.message()};
  auto payloads = blob::OpenFileStore(job.payloads_root());
  if (!payloads) return payloads.error();
  BaselineModel baseline;
  baseline.payloads_ = *std::move(payloads);

  const auto described = Fetch(job, ml::kManifestFile, *baseline.payloads_, folder);
  if (!described) return described.error();
  if (!*described) return Bad("the package has no " + std::string(ml::kManifestFile));
  const auto manifest = ml::ReadPackageManifest(folder);
  if (!manifest) return manifest.error();
  auto spec = vision::FromEntries(manifest->preprocessing);
  if (!spec) return spec.error();
  baseline.spec_ = *std::move(spec);
  const ml::ImageShape shape{baseline.spec_.channels, baseline.spec_.height, baseline.spec_.width};
  const std::vector<std::int64_t> expected = {-1, shape.channels, shape.height, shape.width};
  if (manifest->input.shape != expected) {
    return Bad("the model's input is not what its preprocessing makes");
  }
  baseline.own_classes_ = manifest->classes.size();
  for (const auto& name : job.classes()) {
    const auto found = std::find(manifest->classes.begin(), manifest->classes.end(), name);
    baseline.own_class_.push_back(
        found == manifest->classes.end() ? -1 : found - manifest->classes.begin());
  }

  const auto traced = Fetch(job, ml::kTorchScriptFile, *baseline.payloads_, folder);
  if (!traced) return traced.error();
  if (*traced) {
    auto loaded = ml::Model::Load(folder / ml::kTorchScriptFile);
    if (!loaded) return loaded.error();
    const auto model = std::make_shared<ml::Model>(*std::move(loaded));
    const int threads = static_cast<int>(std::max(job.threads(), 1U));
    baseline.engine_ = [model, shape, threads](std::span<const float> input, std::size_t rows) {
      const std::vector<std::int32_t> labels(rows);
      return model->Predict(ml::ViewOf(shape, input, labels), {.threads = threads});
    };
    return baseline;
  }
  const auto graph = Fetch(job, ml::kOnnxFile, *baseline.payloads_, folder);
  if (!graph) return graph.error();
  if (!*graph) return Bad("the package has neither model.ts nor model.onnx");
  auto engine = serving::Engine::Create({});
  if (!engine) return engine.error();
  auto loaded = (*engine)->Load(folder / ml::kOnnxFile);
  if (!loaded) return loaded.error();
  const std::shared_ptr<serving::Model> model = *std::move(loaded);
  baseline.engine_ = [model](std::span<const float> input,
                             std::size_t rows) -> Result<std::vector<float>> {
    std::vector<float> answers(rows * model->signature().output.elements());
    if (const auto ran = model->Infer(input, rows, answers); !ran) return ran.error();
    return answers;
  };
  return baseline;
}

Result<std::vector<float>> BaselineModel::Answer(const PreparedSplit& split,
                                                 const vision::PreprocessSpec& prepared_with,
                                                 const std::stop_token& stop) const {
  const std::size_t rows = split.items.size();
  const std::size_t classes = own_class_.size();
  const std::size_t elements = spec_.OutputSize();
  const bool same = spec_ == prepared_with;
  std::vector<float> answers(rows * classes);
  std::vector<float> input;
  for (std::size_t first = 0; first < rows; first += kBatch) {
    if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "cancelled"};
    const std::size_t count = std::min(kBatch, rows - first);
    input.resize(count * elements);
    if (same) {
      std::vector<std::uint32_t> indices(count);
      std::iota(indices.begin(), indices.end(), static_cast<std::uint32_t>(first));
      split.rows().CopyRows(indices, input.data());
    }
    for (std::size_t i = 0; i < count && !same; ++i) {
      const auto image = ReadPicture(*payloads_, split.items[first + i]);
      if (!image) return image.error();
      const auto row = std::span(input).subspan(i * elements, elements);
      if (const auto done = vision::Preprocess(*image, spec_, row); !done) return done.error();
    }
    const auto own = engine_(input, count);
    if (!own) return own.error();
    if (own->size() != count * own_classes_) {
      return Bad("the model answers " + std::to_string(own->size() / count) +
                 " numbers, its manifest names " + std::to_string(own_classes_) + " classes");
    }
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t k = 0; k < classes; ++k) {
        if (own_class_[k] < 0) continue;
        answers[(first + i) * classes + k] =
            (*own)[i * own_classes_ + static_cast<std::size_t>(own_class_[k])];
      }
    }
  }
  return answers;
}

}  // namespace tidewheel::training
