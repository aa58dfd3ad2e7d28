#pragma once

#include "tidewheel/labeling/domain/vote_store.h"

namespace tidewheel::postgres {
class Pool;
}

namespace tidewheel::labeling {

/// Votes in the schema `labeling`; finds samples through the view `ingestion.samples_v1`.
class PostgresVoteStore final : public VoteStore {
 public:
  explicit PostgresVoteStore(postgres::Pool& pool) : pool_(pool) {}

  Result<std::vector<Resolution>> Resolve(const std::string& task,
                                          std::span<const Subject> subjects) override;
  Result<SaveOutcome> Save(const std::string& task, std::span<const ResolvedVote> votes) override;
  Result<std::vector<Vote>> List(const VoteFilter& filter, const VoteId& after,
                                 std::size_t at_most) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace tidewheel::labeling
