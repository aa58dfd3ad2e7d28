#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/domain/served_model.h"

namespace tidewheel::inference {

/// One file of a model package, in the payload store.
struct PackageFile {
  std::string name;
  std::string sha256;
  std::string payload_ref;
};

/// What the registry wants to serve a task.
struct Deployment {
  ModelIdentity model;
  std::vector<PackageFile> files;
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
  virtual Result<std::shared_ptr<const ServedModel>> Load(const Deployment& deployment) = 0;
};

}  // namespace tidewheel::inference
