#pragma once

#include <cstdint>
#include <pqxx/pqxx>
#include <string>

#include "tidewheel/base/result.h"

namespace tidewheel::model_registry {

/// What others are told of a change.
struct ModelFact {
  std::string task;
  std::string model_version_id;
  std::uint32_t version = 0;
  std::string stage;
  std::uint64_t revision = 0;
  std::string previous_model_version_id;
};

/// Queues an event of topic tidewheel.models with the transaction.
Result<void> EnqueueModelEvent(pqxx::work& tx, const std::string& type, const ModelFact& fact);

}  // namespace tidewheel::model_registry
