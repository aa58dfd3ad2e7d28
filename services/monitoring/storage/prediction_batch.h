#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <pqxx/pqxx>
#include <span>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/monitoring_store.h"
#include "tidewheel/monitoring/storage/model_catalog.h"

namespace tidewheel::monitoring {

/// The catalog's entries of the batch's models, their dictionaries holding all that the batch names
/// (as far as they may grow).
using BatchModels = std::map<ModelKey, std::shared_ptr<const StoredModel>>;
Result<BatchModels> PrepareModels(ModelCatalog& catalog, std::span<const Prediction> predictions,
                                  const Policies& policies);

/// Stores what is new and counts it: into tallies, streams and the tasks' clocks. Returns how many.
Result<std::size_t> InsertPredictions(pqxx::work& tx, std::span<const Prediction> predictions,
                                      const BatchModels& models, const Policies& policies);

/// Moves the tasks' clocks on to the times given, by task.
void MoveClocks(pqxx::work& tx, const std::map<std::string, Timestamp>& newest,
                const Policies& policies);

}  // namespace tidewheel::monitoring
