#pragma once

#include <optional>
#include <string>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/curation/domain/dataset.h"
#include "tidewheel/curation/domain/dataset_store.h"
#include "tidewheel/curation/domain/task_catalogue.h"

namespace tidewheel::curation {

struct BuildCounters {
  Counter& built = Counter::None();
  Counter& repeated = Counter::None();  // Builds whose content was there already.
  Counter& items = Counter::None();
  Histogram& seconds = Histogram::None();
};

/// Builds dataset versions. Thread-safe.
class DatasetBuilder {
 public:
  DatasetBuilder(TaskCatalogue& tasks, DatasetStore& store, ManifestArchive& archive,
                 const Clock& clock, BuildCounters counters = {})
      : tasks_(tasks), store_(store), archive_(archive), clock_(clock), counters_(counters) {}

  /// Joins samples in use with the labels in force, writes the manifest and keeps the version,
  /// unless one of the same digest is there. kNotFound: the task. kInvalidArgument: the recipe.
  /// kFailedPrecondition: nothing is labeled, a split is empty, or the training split lacks a
  /// class. A repeat with the same `request_id` (empty: none) returns what the first one returned,
  /// whatever was labeled since.
  Result<BuildOutcome> Build(DatasetRecipe recipe, const std::string& description,
                             const std::string& actor, const std::string& request_id = {});

 private:
  Result<BuildOutcome> BuildFrom(Selection& selection, const TaskPolicy& task,
                                 const DatasetRecipe& recipe, const std::optional<Digest>& previous,
                                 const std::string& description, const std::string& actor);

  TaskCatalogue& tasks_;
  DatasetStore& store_;
  ManifestArchive& archive_;
  const Clock& clock_;
  const BuildCounters counters_;
};

}  // namespace tidewheel::curation
