#pragma once

#include <pqxx/pqxx>
#include <string>

namespace tidewheel::model_registry {

/// Gives the task the next revision. Call it after AppendAuditEntry: the chain's lock makes
/// revisions grow in the order of commits, so that nobody who has seen a revision misses a smaller
/// one.
void BumpTaskRevision(pqxx::work& tx, const std::string& task);

}  // namespace tidewheel::model_registry
