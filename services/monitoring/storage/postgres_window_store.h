#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "tidewheel/monitoring/domain/window_store.h"
#include "tidewheel/monitoring/storage/model_catalog.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::monitoring {

/// Windows in PostgreSQL, cut by the server from the rows that lie behind a stream's boundary, in
/// the order of event time, request id and place.
///
/// A row that comes behind the boundary moves it back to before the window that the row belongs
/// to; from there on windows are cut again, a bounded number in one transaction. One that comes out
/// with the same rows stays as it is, another is to be judged again.
class PostgresWindowStore final : public WindowStore {
 public:
  PostgresWindowStore(postgres::Pool& pool, ModelCatalog& catalog)
      : pool_(pool), catalog_(catalog) {}

  Result<std::size_t> Cut() override;
  Result<std::size_t> NumberOutcomes() override;
  Result<std::size_t> Tell(const Teller& teller) override;

 private:
  Result<bool> CutStream(int stream_id);
  Result<std::size_t> NumberOutcomesOf(int model_id);
  Result<bool> TellWindow(int model_id, const Teller& teller);
  Result<std::size_t> TellOutcomes(int model_id, const Teller& teller);

  /// What was told last of each model: most often the window before the next one.
  std::shared_ptr<const WindowRows> Last(int model_id, std::uint64_t number);
  void Remember(int model_id, std::shared_ptr<const WindowRows> window);

  postgres::Pool& pool_;
  ModelCatalog& catalog_;
  std::mutex mutex_;  // Guards last_.
  std::map<int, std::shared_ptr<const WindowRows>> last_;
};

}  // namespace tidewheel::monitoring
