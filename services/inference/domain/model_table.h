#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/inference/domain/route.h"

namespace tidewheel::inference {

/// A version that is loaded, or that should be, and how it fares.
struct LoadedModel {
  ModelIdentity identity;
  Role role = Role::kProduction;
  double share = 0;  // Of the requests; what it gets, which is none while it is not loaded.
  std::optional<Timestamp> loaded_at;
  std::uint64_t predictions = 0;
  std::string variant;  // As ServedModel::variant; empty: it is not loaded.
  std::string problem;  // Why the newest deployment could not be loaded; empty: all is well.
};

/// A candidate that the registry wants and that could not be loaded.
struct FailedCandidate {
  ModelIdentity identity;
  Role role = Role::kShadow;
  std::string problem;
};

/// Who answers for which task. A reader holds its route as long as it needs it: a swap changes
/// what the next reader gets and drops no request. Thread-safe.
class ModelTable {
 public:
  /// The route of `task` now, or null.
  std::shared_ptr<const Route> Find(const std::string& task) const;

  /// Swaps the whole route at once; `route` has a production version.
  void Set(const std::string& task, Route route);
  /// Why production is not what the registry wants; empty: it is.
  void NoteProblem(const std::string& task, const std::string& problem);
  void NoteCandidate(const std::string& task, std::optional<FailedCandidate> failed);
  void Remove(const std::string& task);

  /// Whether all that is deployed has been looked at; before, a task that is not found may come.
  bool complete() const { return complete_; }
  void SetComplete(bool complete) { complete_ = complete; }

  /// By task, production before the candidate.
  std::vector<LoadedModel> List() const;
  std::vector<std::string> Tasks() const;

 private:
  struct Entry {
    std::shared_ptr<const Route> route;
    std::string problem;
    std::optional<FailedCandidate> failed_candidate;
  };

  mutable std::mutex mutex_;  // Guards entries_; held for a look-up, never for a prediction.
  std::map<std::string, Entry> entries_;
  std::atomic<bool> complete_ = true;
};

}  // namespace tidewheel::inference
