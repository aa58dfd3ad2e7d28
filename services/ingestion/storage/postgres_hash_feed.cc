#include "tidewheel/ingestion/storage/postgres_hash_feed.h"

#include <bit>
#include <pqxx/pqxx>

namespace tidewheel::ingestion {
namespace {

constexpr char kReadOn[] =
    "SELECT sample_id, group_key, hash_high, hash_low, added_xid AS xid FROM samples "
    "WHERE task = $1 AND deactivated_at IS NULL "
    "AND (added_xid, sample_id) > ($2::xid8, $3::uuid) "
    "AND added_xid < pg_snapshot_xmin(pg_current_snapshot()) "
    "ORDER BY added_xid, sample_id LIMIT $4";
constexpr char kReadRemoved[] =
    "SELECT sample_id, group_key, hash_high, hash_low, deactivated_xid AS xid FROM samples "
    "WHERE task = $1 AND deactivated_xid IS NOT NULL "
    "AND (deactivated_xid, sample_id) > ($2::xid8, $3::uuid) "
    "AND deactivated_xid < pg_snapshot_xmin(pg_current_snapshot()) "
    "ORDER BY deactivated_xid, sample_id LIMIT $4";
constexpr char kFirstId[] = "00000000-0000-0000-0000-000000000000";

}  // namespace

Result<std::vector<HashedSample>> PostgresHashFeed::ReadOn(const std::string& task,
                                                           std::size_t limit,
                                                           FeedPosition* position) {
  return Read(kReadOn, task, limit, position);
}

Result<std::vector<HashedSample>> PostgresHashFeed::ReadRemoved(const std::string& task,
                                                                std::size_t limit,
                                                                FeedPosition* position) {
  return Read(kReadRemoved, task, limit, position);
}

Result<std::vector<HashedSample>> PostgresHashFeed::Read(const char* query, const std::string& task,
                                                         std::size_t limit,
                                                         FeedPosition* position) {
  FeedPosition reached = *position;
  if (reached.transaction.empty()) reached = {"0", kFirstId};
  auto read = pool_.ReadOnly([&](pqxx::transaction_base& tx)
                                 -> Result<std::pair<std::vector<HashedSample>, FeedPosition>> {
    std::vector<HashedSample> samples;
    FeedPosition last = reached;
    for (const auto& row :
         tx.exec_params(query, task, reached.transaction, reached.sample_id, limit)) {
      HashedSample sample;
      sample.sample_id = row["sample_id"].c_str();
      sample.group = row["group_key"].c_str();
      sample.hash = {std::bit_cast<std::uint64_t>(row["hash_high"].as<std::int64_t>()),
                     std::bit_cast<std::uint64_t>(row["hash_low"].as<std::int64_t>())};
      last = {row["xid"].c_str(), sample.sample_id};
      samples.push_back(std::move(sample));
    }
    return std::pair(std::move(samples), std::move(last));
  });
  if (!read) return read.error();
  *position = std::move(read->second);
  return std::move(read->first);
}

}  // namespace tidewheel::ingestion
