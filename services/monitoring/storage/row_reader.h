#pragma once

#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/window_rows.h"
#include "tidewheel/monitoring/storage/model_catalog.h"

namespace tidewheel::monitoring {

/// What ReadRow reads, of `predictions p` and `joined_outcomes j`.
inline constexpr char kRowColumns[] =
    "p.model_id, p.request_id, p.place, p.predicted_at, p.class_index, p.seconds, p.role, "
    "p.slices, "
    "p.body, j.class_name AS outcome, j.observed_at AS outcome_at";

/// Features in the order of the model's dictionary, as many as it has.
Result<ObservedRow> ReadRow(const pqxx::row& row, const StoredModel& model);

std::vector<std::string> TextsFrom(const pqxx::field& field);
std::vector<std::int64_t> IntegersFrom(const pqxx::field& field);

}  // namespace tidewheel::monitoring
