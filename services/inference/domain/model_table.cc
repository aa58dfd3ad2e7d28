#include "tidewheel/inference/domain/model_table.h"

#include <utility>

namespace tidewheel::inference {

std::shared_ptr<const ServedModel> ModelTable::Find(const std::string& task) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(task);
  return found == entries_.end() ? nullptr : found->second.model;
}

void ModelTable::Swap(const std::string& task, std::shared_ptr<const ServedModel> model,
                      Timestamp now) {
  std::shared_ptr<const ServedModel>
      old;  // Destroyed after the lock is released: unloading takes its time.
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[task];
  old = std::exchange(entry.model, std::move(model));
  entry.loaded_at = now;
  entry.predictions = 0;
  entry.problem.clear();
}

void ModelTable::NoteProblem(const std::string& task, const std::string& problem) {
  const std::lock_guard lock(mutex_);
  entries_[task].problem = problem;
}

void ModelTable::CountPredictions(const std::string& task, std::uint64_t predictions) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(task);
  if (found != entries_.end()) found->second.predictions += predictions;
}

void ModelTable::Remove(const std::string& task) {
  std::shared_ptr<const ServedModel> old;
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(task);
  if (found == entries_.end()) return;
  old = std::move(found->second.model);
  entries_.erase(found);
}

std::vector<LoadedModel> ModelTable::List() const {
  const std::lock_guard lock(mutex_);
  std::vector<LoadedModel> models;
  for (const auto& [task, entry] : entries_) {
    LoadedModel model;
    if (entry.model != nullptr) model.identity = entry.model->identity();
    model.identity.task = task;
    model.loaded_at = entry.loaded_at;
    model.predictions = entry.predictions;
    model.problem = entry.problem;
    models.push_back(std::move(model));
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
