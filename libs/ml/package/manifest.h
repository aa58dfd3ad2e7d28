#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::ml {

/// The files of a model package. Golden samples are in golden.h.
inline constexpr std::string_view kTorchScriptFile = "model.ts";
inline constexpr std::string_view kOnnxFile = "model.onnx";
inline constexpr std::string_view kManifestFile = "model.yaml";
inline constexpr std::string_view kEvaluationFile = "evaluation.json";
inline constexpr std::string_view kCardFile = "card.md";
inline constexpr std::string_view kGoldenFile = "golden.bin";
inline constexpr std::string_view kProfileFile = "profile.pb";
inline constexpr std::string_view kInt8OnnxFile = "model.int8.onnx";

/// What a package must hold to be served; the others belong to it but may be absent.
std::vector<std::string_view> RequiredPackageFiles();

/// One input or output of a model.
struct TensorSignature {
  std::string name{};
  std::string datatype = "FP32";      // In the words of the Open Inference Protocol.
  std::vector<std::int64_t> shape{};  // The first is the batch, -1 for any size.

  friend bool operator==(const TensorSignature&, const TensorSignature&) = default;
};

/// What was done to the model's answers after training. The temperature is inside the graph
/// already: what a model answers is calibrated, and nobody applies it a second time.
struct Calibration {
  enum class Method { kNone, kTemperature };
  Method method = Method::kNone;
  double temperature = 1.0;

  friend bool operator==(const Calibration&, const Calibration&) = default;
};

/// The same model with other numbers inside: "bf16" (the same file, computed in bfloat16) or "int8"
/// (a file of its own). What it answered on the stored validation predictions, beside the model in
/// float32, decided whether it is offered.
struct Variant {
  std::string name{};
  std::string file{};  // Empty: the variant has none, as it is not offered.
  bool offered = false;
  std::string reason{};       // Of the decision, in words.
  std::string calibration{};  // Of int8: how ranges were taken, and from how many rows.
  std::uint64_t samples = 0;  // Validation rows that were compared.
  double difference = 0;      // Of accuracy: the variant's less float32's.
  double low = 0;             // Its interval.
  double high = 0;
  double changed = 0;             // Share of rows whose class is another.
  double largest_difference = 0;  // Of a probability of a golden row.

  friend bool operator==(const Variant&, const Variant&) = default;
};

/// model.yaml: all that serving must know about a model, and what made it.
struct PackageManifest {
  static constexpr int kFormatVersion = 1;

  std::string task{};
  std::string recipe{};
  TensorSignature input{};
  TensorSignature output{};  // Probabilities in the order of the classes.
  std::vector<std::string> classes{};
  std::map<std::string, std::string> preprocessing{};  // Opaque here: libs/vision reads it.
  Calibration calibration{};
  std::string run_id{};
  std::string dataset_digest{};  // 64 hexadecimal digits; empty for an uploaded model.
  std::string code_version{};
  std::uint64_t seed = 0;
  std::vector<Variant> variants{};  // Beside float32, which is always there; often none.

  friend bool operator==(const PackageManifest&, const PackageManifest&) = default;
};

/// kInvalidArgument names every problem at once: unknown or missing keys, a wrong type, classes
/// that do not fit the output's shape, a format version that this code does not know.
Result<PackageManifest> ParsePackageManifest(std::string_view yaml);

/// YAML that ParsePackageManifest reads back to the same value; the same manifest gives the same
/// bytes.
std::string PrintPackageManifest(const PackageManifest& manifest);

/// The variant of this name if it is offered; else null.
const Variant* OfferedVariant(const PackageManifest& manifest, std::string_view name);

/// Reads model.yaml of a package's folder. kNotFound: there is none.
Result<PackageManifest> ReadPackageManifest(const std::filesystem::path& folder);

}  // namespace tidewheel::ml
