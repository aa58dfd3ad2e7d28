#include "tidewheel/postgres/inbox.h"

#include <cctype>
#include <unordered_set>

#include "tidewheel/base/ids.h"
#include "tidewheel/postgres/arrays.h"

namespace tidewheel::postgres {

Result<bool> Inbox::FirstTime(pqxx::transaction_base& tx, const std::string& consumer,
                              const std::string& event_id) const {
  const auto first = FirstTimes(tx, consumer, std::span(&event_id, 1));
  if (!first) return first.error();
  return bool{first->front()};
}

Result<std::vector<bool>> Inbox::FirstTimes(pqxx::transaction_base& tx, const std::string& consumer,
                                            std::span<const std::string> event_ids) const {
  TextArray ids;
  for (const std::string& id : event_ids) {
    if (!IsUuid(id)) {
      return Error{ErrorCode::kInvalidArgument, "event id \"" + id + "\" is no UUID"};
    }
    ids.Add(id);
  }
  // Sorted: two consumers that insert the same ids in another order would deadlock.
  const auto rows = tx.exec_params(
      "INSERT INTO " + schema_ +
          ".inbox (consumer, event_id)"
          " SELECT DISTINCT $1::text, id::uuid FROM unnest($2::text[]) AS id ORDER BY 2"
          " ON CONFLICT DO NOTHING RETURNING event_id",
      consumer, ids.Parameter());
  std::unordered_set<std::string> fresh;
  for (const auto& row : rows) fresh.insert(row[0].as<std::string>());

  std::vector<bool> first;
  first.reserve(event_ids.size());
  for (std::string id : event_ids) {
    // PostgreSQL prints UUIDs in lower case.
    for (char& c : id) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    first.push_back(fresh.erase(id) == 1);
  }
  return first;
}

std::int64_t Inbox::Prune(pqxx::transaction_base& tx, std::chrono::seconds age) const {
  const auto pruned = tx.exec_params(
      "DELETE FROM " + schema_ + ".inbox WHERE received_at < now() - make_interval(secs => $1)",
      static_cast<std::int64_t>(age.count()));
  return static_cast<std::int64_t>(pruned.affected_rows());
}

}  // namespace tidewheel::postgres
