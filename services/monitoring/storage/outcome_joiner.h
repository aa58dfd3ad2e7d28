#pragma once

#include <cstdint>
#include <pqxx/pqxx>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/storage/model_catalog.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::monitoring {

/// Which answers are meant, as two array parameters.
struct PlaceArrays {
  postgres::TextArray request_ids;
  postgres::IntegerArray places;

  void Add(const std::string& request_id, std::uint32_t place) {
    request_ids.Add(request_id);
    places.Add(static_cast<std::int32_t>(place));
  }
};

/// Gives predictions the outcome that was observed first, and counts it. A prediction and its
/// outcome may be stored side by side, neither seeing the other: so both sides call it once they
/// are committed, and the later of the two sees both.
Result<void> JoinOutcomes(postgres::Pool& pool, ModelCatalog& catalog, const PlaceArrays& places);

/// Counts the outcomes of those windows of a stream that lie within these times. The caller holds
/// the stream's row.
void CountOutcomes(pqxx::work& tx, int stream_id, const std::string& from, const std::string& to);

}  // namespace tidewheel::monitoring
