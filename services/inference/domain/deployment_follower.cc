#include "tidewheel/inference/domain/deployment_follower.h"

#include <algorithm>
#include <set>

namespace tidewheel::inference {
namespace {

using Version = std::shared_ptr<const LoadedVersion>;

Version Find(std::span<const Version> at_hand, const ModelIdentity& wanted) {
  const auto found = std::find_if(at_hand.begin(), at_hand.end(), [&](const Version& version) {
    return version->identity() == wanted;
  });
  return found == at_hand.end() ? nullptr : *found;
}

}  // namespace

std::vector<Version> DeploymentFollower::AtHand(const std::string& task) const {
  std::vector<Version> versions;
  const auto route = table_.Find(task);
  if (route == nullptr) return versions;
  versions.push_back(route->production);
  if (route->candidate != nullptr) versions.push_back(route->candidate);
  return versions;
}

void DeploymentFollower::Apply(const Deployment& deployment, std::span<const Version> at_hand,
                               FollowReport& report) {
  const auto current = table_.Find(deployment.task);
  Route next;
  next.production = Find(at_hand, deployment.production.model);
  if (next.production != nullptr) {
    table_.NoteProblem(deployment.task, "");
  } else if (current != nullptr) {
    next.production = current->production;  // Goes on until the new one is ready.
  } else {
    return;
  }
  if (!deployment.rollout) {
    table_.NoteCandidate(deployment.task, std::nullopt);
  } else if (auto candidate = Find(at_hand, deployment.rollout->candidate.model);
             candidate != nullptr && candidate != next.production) {
    table_.NoteCandidate(deployment.task, std::nullopt);
    next.candidate = std::move(candidate);
    next.candidate_role = deployment.rollout->role;
    next.share = deployment.rollout->share;
  }
  next.capture = deployment.capture;
  next.quality = deployment.quality;
  if (current != nullptr && *current == next) return;
  table_.Set(deployment.task, std::move(next));
  ++report.routed;
}

Version DeploymentFollower::Load(const ModelPackage& package, std::uint64_t revision,
                                 FollowReport& report, std::string* problem) {
  // A package that could not be loaded stays so: its bytes never change. The next revision is
  // tried.
  const std::pair key(package.model.task, package.model.model_version_id);
  const auto failed = failed_.find(key);
  if (failed != failed_.end() && failed->second == revision) return nullptr;

  auto model = loader_.Load(package);
  if (model) {
    failed_.erase(key);
    ++report.loaded;
    return std::make_shared<const LoadedVersion>(*std::move(model), clock_.Now());
  }
  *problem = model.error().message;
  // What the payload store or the disk may still cure is tried again at the next look.
  if (!IsTransient(model.error().code)) failed_[key] = revision;
  ++report.failed;
  return nullptr;
}

void DeploymentFollower::LoadMissing(const Deployment& deployment, FollowReport& report) {
  auto at_hand = AtHand(deployment.task);
  std::string problem;
  if (Find(at_hand, deployment.production.model) == nullptr) {
    auto version = Load(deployment.production, deployment.revision, report, &problem);
    if (version != nullptr) at_hand.push_back(std::move(version));
    if (!problem.empty()) table_.NoteProblem(deployment.task, problem);
    Apply(deployment, at_hand, report);
  }
  // A candidate without production has nobody to stand beside.
  if (!deployment.rollout || table_.Find(deployment.task) == nullptr) return;
  const Rollout& rollout = *deployment.rollout;
  if (Find(at_hand, rollout.candidate.model) != nullptr) return;
  problem.clear();
  auto version = Load(rollout.candidate, deployment.revision, report, &problem);
  if (version != nullptr) at_hand.push_back(std::move(version));
  if (!problem.empty()) {
    table_.NoteCandidate(deployment.task,
                         FailedCandidate{rollout.candidate.model, rollout.role, problem});
  }
  Apply(deployment, at_hand, report);
}

void DeploymentFollower::Forget(const std::string& task) {
  table_.Remove(task);
  std::erase_if(failed_, [&](const auto& failure) { return failure.first.first == task; });
}

Result<FollowReport> DeploymentFollower::Follow() {
  const auto list = source_.List();
  if (!list) return list.error();

  FollowReport report;
  std::set<std::string> deployed;
  for (const auto& deployment : list->deployments) deployed.insert(deployment.task);
  for (const auto& task : table_.Tasks()) {
    if (deployed.contains(task)) continue;
    Forget(task);
    ++report.removed;
  }
  // First what is at hand: a roll back never waits for another task's package.
  for (const auto& deployment : list->deployments) {
    Apply(deployment, AtHand(deployment.task), report);
  }
  for (const auto& deployment : list->deployments) LoadMissing(deployment, report);
  settled_ = true;
  table_.SetComplete(true);
  return report;
}

}  // namespace tidewheel::inference
