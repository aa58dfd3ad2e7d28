#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/inference/domain/deployment.h"
#include "tidewheel/inference/domain/served_model.h"

namespace tidewheel::inference {

/// A loaded model and how it fares.
struct LoadedModel {
  ModelIdentity identity;
  Timestamp loaded_at{};
  std::uint64_t predictions = 0;
  std::string problem;  // Why the newest deployment could not be loaded; empty: all is well.
};

/// Which model answers for which task. A reader holds its model as long as it needs it: a swap
/// changes what the next reader gets and drops no request. Thread-safe.
class ModelTable {
 public:
  /// The model that serves `task` now, or null.
  std::shared_ptr<const ServedModel> Find(const std::string& task) const;

  void Swap(const std::string& task, std::shared_ptr<const ServedModel> model, Timestamp now);
  void NoteProblem(const std::string& task, const std::string& problem);
  void CountPredictions(const std::string& task, std::uint64_t predictions);
  void Remove(const std::string& task);

  /// By task.
  std::vector<LoadedModel> List() const;
  std::vector<std::string> Tasks() const;

 private:
  struct Entry {
    std::shared_ptr<const ServedModel> model;
    Timestamp loaded_at{};
    std::uint64_t predictions = 0;
    std::string problem;
  };

  mutable std::mutex mutex_;  // Guards entries_; held for a look-up, never for a prediction.
  std::map<std::string, Entry> entries_;
};

}  // namespace tidewheel::inference
