#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/domain/route.h"
#include "tidewheel/inference/domain/served_model.h"

namespace tidewheel::inference {

/// One file of a model package, in the payload store.
struct PackageFile {
  std::string name;
  std::string sha256;
  std::string payload_ref;
};

/// A model version as it lies in the payload store.
struct ModelPackage {
  ModelIdentity model;
  std::vector<PackageFile> files;
};

/// A candidate beside the serving version.
struct Rollout {
  ModelPackage candidate;
  Role role = Role::kShadow;  // kCanary or kShadow.
  double share = 0;           // Of the requests, for a canary.
};

/// What the registry wants to serve a task.
struct Deployment {
  std::string task;
  ModelPackage production;
  std::optional<Rollout> rollout;
  CapturePolicy capture;
  QualityRules quality;
  std::uint64_t revision = 0;
};

struct DeploymentList {
  std::vector<Deployment> deployments;
  std::uint64_t revision = 0;  // Of all together: unchanged means nothing to do.
};

/// Asks the registry.
class DeploymentSource {
 public:
  virtual ~DeploymentSource() = default;
  /// kUnavailable: the registry is away; what is loaded goes on.
  virtual Result<DeploymentList> List() = 0;
};

/// Brings a package into memory, checked and warm.
class ModelLoader {
 public:
  virtual ~ModelLoader() = default;
  /// kInvalidArgument: the package cannot be served, or does not answer its golden samples as it
  /// should.
  virtual Result<std::shared_ptr<const ServedModel>> Load(const ModelPackage& package) = 0;
};

}  // namespace tidewheel::inference
