#pragma once

#include "tidewheel/ingestion/domain/hash_feed.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::ingestion {

/// The feed over the samples table: in the order of transactions, up to the oldest that may still
/// commit.
class PostgresHashFeed final : public HashFeed {
 public:
  explicit PostgresHashFeed(postgres::Pool& pool) : pool_(pool) {}

  Result<std::vector<HashedSample>> ReadOn(const std::string& task, std::size_t limit,
                                           FeedPosition* position) override;
  Result<std::vector<HashedSample>> ReadRemoved(const std::string& task, std::size_t limit,
                                                FeedPosition* position) override;

 private:
  Result<std::vector<HashedSample>> Read(const char* query, const std::string& task,
                                         std::size_t limit, FeedPosition* position);

  postgres::Pool& pool_;
};

}  // namespace tidewheel::ingestion
