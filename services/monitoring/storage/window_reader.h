#pragma once

#include <pqxx/pqxx>

#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/window_rows.h"
#include "tidewheel/monitoring/storage/model_catalog.h"

namespace tidewheel::monitoring {

/// Of a window with more rows these many are read: those with the smallest hash of request and
/// index, which is the same choice for everybody.
inline constexpr int kMostWindowRows = 10'000;

/// The rows of a window, which is a row of `windows`; features in the order of the model's
/// dictionary. Begin with a `model` that is at least as new as the rows.
Result<WindowRows> ReadRows(pqxx::transaction_base& tx, const pqxx::row& window,
                            const StoredModel& model);

}  // namespace tidewheel::monitoring
