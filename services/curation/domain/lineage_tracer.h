#pragma once

#include <cstdint>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/curation/domain/dataset_store.h"
#include "tidewheel/curation/domain/lineage.h"

namespace tidewheel::curation {

/// Answers "what made you?". What is asked for must exist (kNotFound); a thing further down that
/// its owner does not know any more stands in the answer as missing. kUnavailable names the service
/// that did not answer. Thread-safe.
class LineageTracer {
 public:
  LineageTracer(PredictionLog& predictions, ModelCatalogue& models, RunBook& runs,
                DatasetStore& datasets, LineageStore& store)
      : predictions_(predictions),
        models_(models),
        runs_(runs),
        datasets_(datasets),
        store_(store) {}

  /// `samples`: how many items of the dataset version to show; 1 to 100, 0 means 5, else
  /// kInvalidArgument.
  Result<Lineage> TracePrediction(const std::string& request_id, std::int64_t samples);
  Result<Lineage> TraceModelVersion(const std::string& id, std::int64_t samples);
  Result<Lineage> TraceRun(const std::string& id, std::int64_t samples);
  Result<Lineage> TraceDatasetVersion(const DatasetVersionId& id, std::int64_t samples);
  Result<Lineage> TraceSample(const SampleId& id);
  /// The alert, the samples that the cycle chose with their votes, the gate, and what it made.
  Result<Lineage> TraceCycle(const std::string& id, std::int64_t samples);

 private:
  class Walk;

  PredictionLog& predictions_;
  ModelCatalogue& models_;
  RunBook& runs_;
  DatasetStore& datasets_;
  LineageStore& store_;
};

}  // namespace tidewheel::curation
