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

  friend bool operator==(const PackageManifest&, const PackageManifest&) = default;
};

/// kInvalidArgument names every problem at once: unknown or missing keys, a wrong type, classes
/// that do not fit the output's shape, a format version that this code does not know.
Result<PackageManifest> ParsePackageManifest(std::string_view yaml);

/// YAML that ParsePackageManifest reads back to the same value; the same manifest gives the same
/// bytes.
std::string PrintPackageManifest(const PackageManifest& manifest);

/// Reads model.yaml of a package's folder. kNotFound: there is none.
Result<PackageManifest> ReadPackageManifest(const std::filesystem::path& folder);

}  // namespace tidewheel::ml
