#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/inference/domain/deployment.h"
#include "tidewheel/inference/domain/model_table.h"

namespace tidewheel::inference {

/// What one look at the registry changed.
struct FollowReport {
  std::uint32_t loaded = 0;  // Versions.
  std::uint32_t routed = 0;  // Tasks whose route changed.
  std::uint32_t removed = 0;
  std::uint32_t failed = 0;
};

/// Makes the table hold what the registry deploys: a version is loaded and checked beside those
/// that answer, and gets its part of the traffic once it is ready; when it is not, the old one goes
/// on. What needs no loading, such as taking all traffic from a candidate, is done first. For one
/// thread.
class DeploymentFollower {
 public:
  DeploymentFollower(DeploymentSource& source, ModelLoader& loader, ModelTable& table,
                     const Clock& clock)
      : source_(source), loader_(loader), table_(table), clock_(clock) {
    table_.SetComplete(false);
  }

  /// kUnavailable: the registry is away; nothing changed.
  Result<FollowReport> Follow();

  /// Whether the registry has been heard and everything it deploys was tried.
  bool settled() const { return settled_; }

 private:
  using Version = std::shared_ptr<const LoadedVersion>;

  std::vector<Version> AtHand(const std::string& task) const;
  /// Makes the route from what is at hand.
  void Apply(const Deployment& deployment, std::span<const Version> at_hand, FollowReport& report);
  /// Loads what the deployment names and nobody has; then as Apply.
  void LoadMissing(const Deployment& deployment, FollowReport& report);
  /// Null: it could not be, or was tried at this revision and cannot be; `problem` then says why,
  /// or is empty when it is known already.
  Version Load(const ModelPackage& package, std::uint64_t revision, FollowReport& report,
               std::string* problem);
  void Forget(const std::string& task);

  DeploymentSource& source_;
  ModelLoader& loader_;
  ModelTable& table_;
  const Clock& clock_;
  /// Revisions at which a task's model version could not be loaded.
  std::map<std::pair<std::string, std::string>, std::uint64_t> failed_;
  bool settled_ = false;
};

}  // namespace tidewheel::inference
