#pragma once

#include <cstddef>
#include <map>
#include <pqxx/pqxx>
#include <span>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/monitoring_store.h"
#include "tidewheel/monitoring/storage/model_catalog.h"

namespace tidewheel::monitoring {

/// Stores what is new and counts it: into tallies, streams and the tasks' clocks, in one
/// transaction. Models and names that are new go into the catalog first. Returns how many were new.
Result<std::size_t> StorePredictions(postgres::Pool& pool, ModelCatalog& catalog,
                                     std::span<const Prediction> predictions,
                                     const Policies& policies);

/// Moves the tasks' clocks on to the times given, by task.
void MoveClocks(pqxx::work& tx, const std::map<std::string, Timestamp>& newest,
                const Policies& policies);

}  // namespace tidewheel::monitoring
