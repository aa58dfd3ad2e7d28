#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/model_registry/domain/task_spec.h"

namespace tidewheel::model_registry {

enum class Stage { kRegistered, kProduction, kRetired };

/// One file of a package, in the payload store.
struct PackageFile {
  std::string name;
  std::string sha256;
  std::uint64_t size_bytes = 0;
  std::string payload_ref;

  friend bool operator==(const PackageFile&, const PackageFile&) = default;
};

/// What a package says of itself.
struct PackageManifest {
  std::string task;
  std::string run_id;
  std::string dataset_version_id;
  std::string dataset_digest;
  std::string recipe;
  std::uint64_t seed = 0;
  std::string code_version;
  bool code_clean = false;
  std::vector<std::string> classes;
  std::map<std::string, double> metrics;  // On the test split, by name.
};

struct ModelVersion {
  std::string id;
  std::uint32_t version = 0;  // Counts from 1 within the task; 0 until stored.
  Stage stage = Stage::kRegistered;
  PackageManifest manifest;
  std::string package_digest;
  std::vector<PackageFile> files;
  Timestamp registered_at{};
  std::string registered_by;
};

enum class RolloutStage { kShadow, kCanary };

/// "shadow" or "canary".
std::string_view StageName(RolloutStage stage);

/// A candidate beside the serving version.
struct Rollout {
  ModelVersion candidate;
  RolloutStage stage = RolloutStage::kShadow;
  double share = 0;  // Of requests, above 0 and below 1; of a shadow 0.
  Timestamp since{};
  std::string by;
  std::string reason;
};

/// What serves a task.
struct Deployment {
  std::string task;
  ModelVersion production;
  std::uint64_t revision = 0;
  Timestamp deployed_at{};
  std::string deployed_by;
  std::string previous_model_version_id;  // Empty: nothing to go back to.
  std::optional<Rollout> rollout;         // None: production has all the traffic.
  // Of the task in force.
  CapturePolicy capture;
  QualityRules quality;
};

/// The bytes a package's digest is taken over: names and digests in order of name.
std::string DigestedBytes(std::vector<PackageFile> files);

}  // namespace tidewheel::model_registry
