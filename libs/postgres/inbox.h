#pragma once

#include <chrono>
#include <cstdint>
#include <pqxx/pqxx>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::postgres {

/// The table `inbox` of one schema: which events a consumer has applied. Ask in the transaction
/// that applies the event, and a repeat changes nothing. Functions throw what libpqxx throws, to be
/// caught by Pool. Thread-safe.
class Inbox {
 public:
  explicit Inbox(std::string schema) : schema_(std::move(schema)) {}

  /// Records the event and says whether it is new. Waits for a transaction that is applying the
  /// same one. kInvalidArgument: the event id is no UUID.
  Result<bool> FirstTime(pqxx::transaction_base& tx, const std::string& consumer,
                         const std::string& event_id) const;

  /// The same for many at once: one answer per id, in their order; an id that comes twice is new
  /// once.
  Result<std::vector<bool>> FirstTimes(pqxx::transaction_base& tx, const std::string& consumer,
                                       std::span<const std::string> event_ids) const;

  /// Forgets events received longer ago than `age`, which must exceed what the bus retains. Returns
  /// how many.
  std::int64_t Prune(pqxx::transaction_base& tx, std::chrono::seconds age) const;

 private:
  std::string schema_;
};

}  // namespace tidewheel::postgres
