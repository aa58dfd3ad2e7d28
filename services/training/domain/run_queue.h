#pragma once

#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/training/domain/run_store.h"

namespace tidewheel::training {

/// Two runs on the same samples.
struct RunComparison {
  Disagreement counts;
  double p_value = 1;
  bool exact = false;
  std::string verdict;
};

/// Takes runs into the queue and answers for them. Thread-safe.
class RunQueue {
 public:
  struct Policy {
    std::size_t max_queued = 1'000;
    std::vector<std::string> recipes;
  };

  RunQueue(RunStore& store, const Clock& clock, Policy policy)
      : store_(store), clock_(clock), policy_(std::move(policy)) {}

  /// kInvalidArgument names the setting and its limits. kNotFound: the dataset version.
  /// kResourceExhausted: the queue is full.
  Result<EnqueuedRun> Start(const RunRequest& request);
  Result<Run> Find(const std::string& id);
  Result<Run> Cancel(const std::string& id, const std::string& reason);
  /// McNemar's test at the 5 % level.
  Result<RunComparison> Compare(const std::string& run_id, const std::string& other_run_id,
                                const std::string& split);

 private:
  Result<void> Check(const RunRequest& request) const;

  RunStore& store_;
  const Clock& clock_;
  const Policy policy_;
};

}  // namespace tidewheel::training
