#include "tidewheel/ml/package_writer.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "tidewheel/ml/graph/onnx_graph.h"
#include "tidewheel/ml/package/file.h"
#include "tidewheel/ml/package/golden.h"
#include "tidewheel/serving/engine.h"

namespace tidewheel::ml {
namespace {

/// Up to `at_most` rows, evenly spread over the dataset.
std::vector<std::uint32_t> Spread(std::size_t rows, std::size_t at_most) {
  const std::size_t count = std::min(rows, at_most);
  std::vector<std::uint32_t> indices(count);
  for (std::size_t i = 0; i < count; ++i) indices[i] = static_cast<std::uint32_t>(i * rows / count);
  return indices;
}

/// Rows taken out of a dataset, with what TorchScript answers for them.
struct Sampled {
  std::vector<float> inputs;
  std::vector<float> probabilities;
  std::vector<float> embedding;  // Empty where the model has none.
  std::size_t rows = 0;
};

Result<Sampled> Sample(const Model& model, const TensorDataset& dataset, std::size_t at_most) {
  const auto indices = Spread(dataset.rows(), at_most);
  Sampled sampled{.inputs = std::vector<float>(indices.size() * dataset.shape.elements()),
                  .probabilities = {},
                  .embedding = {},
                  .rows = indices.size()};
  dataset.CopyRows(indices, sampled.inputs.data());
  const std::vector<std::int32_t> labels(indices.size());
  const TensorDataset rows = ViewOf(dataset.shape, sampled.inputs, labels);
  auto probabilities = model.Predict(rows);
  if (!probabilities) return probabilities.error();
  sampled.probabilities = std::move(*probabilities);
  if (model.architecture()->embedding != 0) {
    auto embedding = model.Embed(rows);
    if (!embedding) return embedding.error();
    sampled.embedding = std::move(*embedding);
  }
  return sampled;
}

double LargestDifference(std::span<const float> left, std::span<const float> right) {
  double largest = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const double difference = std::abs(double{left[i]} - double{right[i]});
    // A NaN must count as different.
    if (!(difference <= largest)) largest = std::isnan(difference) ? INFINITY : difference;
  }
  return largest;
}

struct Differences {
  double probabilities = 0;
  double embedding = 0;
};

/// What OpenVINO answers for the same rows, against what TorchScript answered.
Result<Differences> CompareEngines(const std::string& onnx, const Sampled& sampled) {
  auto engine = serving::Engine::Create({});
  if (!engine) return engine.error();
  auto served = (*engine)->LoadBytes(onnx);
  if (!served) return served.error();
  std::vector<float> answers(sampled.probabilities.size());
  std::vector<float> embedding(sampled.embedding.size());
  if (auto ran = (*served)->Infer(sampled.inputs, sampled.rows, answers, embedding); !ran) {
    return ran.error();
  }
  // Activations have no scale of their own: an error counts by their size.
  double scale = 1;
  for (const float number : sampled.embedding) scale = std::max(scale, std::abs(double{number}));
  return Differences{LargestDifference(answers, sampled.probabilities),
                     LargestDifference(embedding, sampled.embedding) / scale};
}

Result<void> MakeEmptyFolder(const std::filesystem::path& folder) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) return Error{ErrorCode::kInternal, folder.string() + ": " + failure.message()};
  if (!std::filesystem::is_empty(folder, failure) || failure) {
    return Error{ErrorCode::kFailedPrecondition, "folder " + folder.string() + " is not empty"};
  }
  return {};
}

Result<PackageManifest> Complete(PackageManifest manifest, const Model& model) {
  const Architecture& architecture = *model.architecture();
  if (manifest.classes.size() != static_cast<std::size_t>(architecture.classes)) {
    return Error{ErrorCode::kInvalidArgument,
                 "the manifest has " + std::to_string(manifest.classes.size()) +
                     " classes, the model " + std::to_string(architecture.classes)};
  }
  const ImageShape& input = architecture.input;
  manifest.input = {.name = kInputName,
                    .datatype = "FP32",
                    .shape = {-1, input.channels, input.height, input.width}};
  manifest.output = {.name = kOutputName, .datatype = "FP32", .shape = {-1, architecture.classes}};
  manifest.calibration = {};
  if (model.temperature() != 1.0) {
    manifest.calibration = {.method = Calibration::Method::kTemperature,
                            .temperature = model.temperature()};
  }
  return manifest;
}

/// Saves the module and makes sure that what was saved is what was meant.
Result<void> SaveTorchScript(const std::filesystem::path& path, const Model& model,
                             const TensorDataset& samples, const Sampled& expected) {
  if (auto saved = model.Save(path); !saved) return saved;
  const auto loaded = Model::Load(path);
  if (!loaded) return loaded.error();
  const auto again = Sample(*loaded, samples, expected.rows);
  if (!again) return again.error();
  if (again->probabilities != expected.probabilities || again->embedding != expected.embedding) {
    return Error{ErrorCode::kFailedPrecondition,
                 path.string() + " does not answer as the model it was saved from"};
  }
  return {};
}

}  // namespace

Result<PackageReport> WritePackage(const std::filesystem::path& folder, const Model& model,
                                   const PackageContents& contents) {
  if (!model.architecture()) {
    return Error{ErrorCode::kFailedPrecondition,
                 "a package needs a model that was made from an architecture"};
  }
  if (contents.samples.rows() == 0 || contents.compared_rows == 0 || contents.golden_rows == 0) {
    return Error{ErrorCode::kInvalidArgument,
                 "a package needs at least one real row to compare the engines on"};
  }
  if (auto fine = CheckDataset(contents.samples, model.architecture()->classes); !fine) {
    return fine.error();
  }
  auto manifest = Complete(contents.manifest, model);
  if (!manifest) return manifest.error();
  if (auto made = MakeEmptyFolder(folder); !made) return made.error();

  const auto onnx = model.Onnx();
  if (!onnx) return onnx.error();
  const auto compared = Sample(model, contents.samples, contents.compared_rows);
  if (!compared) return compared.error();
  const auto differences = CompareEngines(*onnx, *compared);
  if (!differences) return differences.error();
  for (const auto& [what, difference] : {std::pair{"probabilities", differences->probabilities},
                                         std::pair{"embeddings", differences->embedding}}) {
    if (!(difference <= kEngineTolerance)) {
      return Error{ErrorCode::kFailedPrecondition,
                   std::string("the ") + what + " of TorchScript and ONNX differ by " +
                       std::to_string(difference) + " on " + std::to_string(compared->rows) +
                       " rows; the limit is 0.00001"};
    }
  }
  if (auto saved = SaveTorchScript(folder / kTorchScriptFile, model, contents.samples, *compared);
      !saved) {
    return saved.error();
  }

  auto golden = Sample(model, contents.samples, contents.golden_rows);
  if (!golden) return golden.error();
  const std::size_t classes = contents.manifest.classes.size();
  const auto golden_bytes = PrintGoldenSamples({.rows = golden->rows,
                                                .input_elements = contents.samples.shape.elements(),
                                                .output_elements = classes,
                                                .inputs = std::move(golden->inputs),
                                                .probabilities = std::move(golden->probabilities)});
  if (!golden_bytes) return golden_bytes.error();

  if (!contents.profile.empty()) {
    const auto written = WritePackageFile(folder / kProfileFile, contents.profile);
    if (!written) return written.error();
  }
  const std::pair<std::string_view, std::string> files[] = {
      {kOnnxFile, *onnx},
      {kEvaluationFile, contents.evaluation_json},
      {kCardFile, contents.card_markdown},
      {kGoldenFile, *golden_bytes},
      // Last: a folder without it is no package.
      {kManifestFile, PrintPackageManifest(*manifest)},
  };
  for (const auto& [name, bytes] : files) {
    if (auto written = WritePackageFile(folder / name, bytes); !written) return written.error();
  }
  return PackageReport{.manifest = std::move(*manifest),
                       .compared_rows = compared->rows,
                       .largest_difference = differences->probabilities,
                       .largest_embedding_difference = differences->embedding};
}

}  // namespace tidewheel::ml
