#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tidewheel/base/clock.h"
#include "tidewheel/inference/domain/deployment.h"
#include "tidewheel/inference/domain/model_table.h"

namespace tidewheel::inference {

/// What one look at the registry changed.
struct FollowReport {
  std::uint32_t loaded = 0;
  std::uint32_t removed = 0;
  std::uint32_t failed = 0;
};

/// Makes the table hold what the registry deploys: a new version is loaded and checked beside the
/// old one, which answers until the new one is ready and goes on when it is not. For one thread.
class DeploymentFollower {
 public:
  DeploymentFollower(DeploymentSource& source, ModelLoader& loader, ModelTable& table,
                     const Clock& clock)
      : source_(source), loader_(loader), table_(table), clock_(clock) {}

  /// kUnavailable: the registry is away; nothing changed.
  Result<FollowReport> Follow();

  /// Whether the registry has been heard and everything it deploys was tried.
  bool settled() const { return settled_; }

 private:
  bool NeedsLoading(const Deployment& deployment);

  DeploymentSource& source_;
  ModelLoader& loader_;
  ModelTable& table_;
  const Clock& clock_;
  std::map<std::string, std::uint64_t> failed_;  // Revisions by task that could not be loaded.
  bool settled_ = false;
};

}  // namespace tidewheel::inference
