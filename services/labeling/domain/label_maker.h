#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/labeling/domain/label_store.h"
#include "tidewheel/labeling/domain/task_catalogue.h"

namespace tidewheel::labeling {

struct LabelCounters {
  Counter& changed = Counter::None();
  Counter& ties = Counter::None();
  Histogram& seconds = Histogram::None();  // Of a whole computation.
};

/// Whether `standing` says something else than `computed`. Confidences differ from a thousandth on:
/// with Dawid-Skene one new vote moves every posterior a little, and that is no news.
bool Differs(const Label& standing, const Label& computed);

/// Makes one label of each sample's votes. Thread-safe.
class LabelMaker {
 public:
  LabelMaker(TaskCatalogue& tasks, LabelStore& store, const Clock& clock,
             LabelCounters counters = {}, std::size_t labels_per_transaction = 2'000)
      : tasks_(tasks),
        store_(store),
        clock_(clock),
        counters_(counters),
        labels_per_transaction_(labels_per_transaction) {}

  /// Without a `method`: as the task says. Writes in bounded transactions; after a failure midway a
  /// repeat comes to the same end. kNotFound: the task. kFailedPrecondition: no votes, or votes on
  /// a class the task does not have. kAborted: a younger computation took over.
  Result<ConsensusReport> Compute(const std::string& task, std::optional<ConsensusMethod> method);

 private:
  TaskCatalogue& tasks_;
  LabelStore& store_;
  const Clock& clock_;
  const LabelCounters counters_;
  const std::size_t labels_per_transaction_;
};

}  // namespace tidewheel::labeling
