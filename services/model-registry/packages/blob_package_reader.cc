#include "tidewheel/model_registry/packages/blob_package_reader.h"

#include <simdjson.h>

#include "tidewheel/blob/sha256.h"
#include "tidewheel/ml/package/manifest.h"

namespace tidewheel::model_registry {
namespace {

/// Marks a code version whose tree had changes that the commit does not hold.
constexpr std::string_view kChanges = "+changes";

Result<std::string> ReadChecked(const blob::Store& payloads, const PackageFile& file) {
  const auto ref = blob::Ref::Parse(file.payload_ref);
  if (!ref) return Prefixed("file " + file.name + ": ", ref.error());
  auto bytes = payloads.Get(*ref);
  if (!bytes) return Prefixed("file " + file.name + ": ", bytes.error());
  if (bytes->size() != file.size_bytes || blob::Sha256(*bytes).Hex() != file.sha256) {
    return Error{
        ErrorCode::kDataLoss,
        "file " + file.name + " in the payload store has other bytes than its SHA-256 says"};
  }
  return bytes;
}

/// "splits": {"test": {"metrics": {"accuracy": {"value": 0.99}}}}
Result<std::map<std::string, double>> TestMetrics(const std::string& json) {
  simdjson::dom::parser parser;
  simdjson::dom::object metrics;
  const auto error = parser.parse(json)["splits"]["test"]["metrics"].get(metrics);
  if (error != simdjson::SUCCESS) {
    return Error{ErrorCode::kInvalidArgument,
                 std::string("evaluation.json has no splits.test.metrics: ") +
                     simdjson::error_message(error)};
  }
  std::map<std::string, double> values;
  for (const auto [name, metric] : metrics) {
    double value = 0;
    if (metric["value"].get(value) != simdjson::SUCCESS) {
      return Error{ErrorCode::kInvalidArgument,
                   "evaluation.json: metric " + std::string(name) + " has no number as its value"};
    }
    values.emplace(name, value);
  }
  return values;
}

}  // namespace

Result<PackageManifest> BlobPackageReader::Read(const std::vector<PackageFile>& files) const {
  PackageManifest manifest;
  bool has_manifest = false;
  for (const auto& file : files) {
    const auto bytes = ReadChecked(payloads_, file);
    if (!bytes) return bytes.error();
    if (file.name == ml::kManifestFile) {
      const auto parsed = ml::ParsePackageManifest(*bytes);
      if (!parsed) return parsed.error();
      manifest.task = parsed->task;
      manifest.run_id = parsed->run_id;
      manifest.dataset_digest = parsed->dataset_digest;
      manifest.recipe = parsed->recipe;
      manifest.seed = parsed->seed;
      manifest.code_version = parsed->code_version;
      manifest.code_clean = !manifest.code_version.ends_with(kChanges);
      if (!manifest.code_clean) {
        manifest.code_version.resize(manifest.code_version.size() - kChanges.size());
      }
      manifest.classes = parsed->classes;
      has_manifest = true;
    } else if (file.name == ml::kEvaluationFile) {
      auto metrics = TestMetrics(*bytes);
      if (!metrics) return metrics.error();
      manifest.metrics = *std::move(metrics);
    }
  }
  if (!has_manifest) return Error{ErrorCode::kInvalidArgument, "the package has no model.yaml"};
  return manifest;
}

}  // namespace tidewheel::model_registry
