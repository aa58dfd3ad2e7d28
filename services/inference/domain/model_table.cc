#include "tidewheel/inference/domain/model_table.h"

#include <utility>

namespace tidewheel::inference {
namespace {

LoadedModel Describe(const LoadedVersion& version, Role role, double share) {
  LoadedModel model;
  model.identity = version.identity();
  model.role = role;
  model.share = share;
  model.loaded_at = version.loaded_at();
  model.predictions = version.predictions();
  model.variant = version.model().variant();
  return model;
}

}  // namespace

std::shared_ptr<const Route> ModelTable::Find(const std::string& task) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(task);
  return found == entries_.end() ? nullptr : found->second.route;
}

void ModelTable::Set(const std::string& task, Route route) {
  // The old one is destroyed after the lock is released: unloading takes its time.
  auto next = std::make_shared<const Route>(std::move(route));
  const std::lock_guard lock(mutex_);
  std::swap(entries_[task].route, next);
}

void ModelTable::NoteProblem(const std::string& task, const std::string& problem) {
  const std::lock_guard lock(mutex_);
  entries_[task].problem = problem;
}

void ModelTable::NoteCandidate(const std::string& task, std::optional<FailedCandidate> failed) {
  const std::lock_guard lock(mutex_);
  entries_[task].failed_candidate = std::move(failed);
}

void ModelTable::Remove(const std::string& task) {
  Entry old;
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(task);
  if (found == entries_.end()) return;
  old = std::move(found->second);
  entries_.erase(found);
}

std::vector<LoadedModel> ModelTable::List() const {
  const std::lock_guard lock(mutex_);
  std::vector<LoadedModel> models;
  for (const auto& [task, entry] : entries_) {
    LoadedModel production;
    const double canary =
        entry.route != nullptr && entry.route->has_canary() ? entry.route->share : 0;
    if (entry.route != nullptr) {
      production = Describe(*entry.route->production, Role::kProduction, 1 - canary);
    }
    production.identity.task = task;
    production.problem = entry.problem;
    models.push_back(std::move(production));
    if (entry.route != nullptr && entry.route->candidate != nullptr) {
      models.push_back(Describe(*entry.route->candidate, entry.route->candidate_role, canary));
    } else if (entry.failed_candidate) {
      LoadedModel failed;
      failed.identity = entry.failed_candidate->identity;
      failed.role = entry.failed_candidate->role;
      failed.problem = entry.failed_candidate->problem;
      models.push_back(std::move(failed));
    }
  }
  return models;
}

std::vector<std::string> ModelTable::Tasks() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> tasks;
  for (const auto& [task, entry] : entries_) tasks.push_back(task);
  return tasks;
}

}  // namespace tidewheel::inference
