#include "tidewheel/inference/domain/deployment_follower.h"

#include <set>

namespace tidewheel::inference {

bool DeploymentFollower::NeedsLoading(const Deployment& deployment) {
  const auto& task = deployment.model.task;
  const auto serving = table_.Find(task);
  if (serving != nullptr && serving->identity() == deployment.model) {
    failed_.erase(task);
    table_.NoteProblem(task, "");
    return false;
  }
  // A package that could not be loaded stays so: its bytes never change. The next revision is
  // tried.
  const auto failed = failed_.find(task);
  return failed == failed_.end() || failed->second != deployment.revision;
}

Result<FollowReport> DeploymentFollower::Follow() {
  const auto list = source_.List();
  if (!list) return list.error();

  FollowReport report;
  std::set<std::string> deployed;
  for (const auto& deployment : list->deployments) {
    const auto& task = deployment.model.task;
    deployed.insert(task);
    if (!NeedsLoading(deployment)) continue;
    auto model = loader_.Load(deployment);
    if (model) {
      table_.Swap(task, *std::move(model), clock_.Now());
      failed_.erase(task);
      ++report.loaded;
      continue;
    }
    table_.NoteProblem(task, model.error().message);
    // What the payload store or the disk may still cure is tried again at the next look.
    if (!IsTransient(model.error().code)) failed_[task] = deployment.revision;
    ++report.failed;
  }
  for (const auto& task : table_.Tasks()) {
    if (deployed.contains(task)) continue;
    table_.Remove(task);
    failed_.erase(task);
    ++report.removed;
  }
  settled_ = true;
  return report;
}

}  // namespace tidewheel::inference
