#pragma once

#include "tidewheel/monitoring/domain/comparison.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::monitoring {

/// Comparisons in PostgreSQL, counted from what is stored of both models.
class PostgresComparisonStore final : public ComparisonStore {
 public:
  explicit PostgresComparisonStore(postgres::Pool& pool) : pool_(pool) {}

  Result<bool> Add(const ComparisonPlan& plan) override;
  Result<std::optional<Stored>> FindComparison(const std::string& id) override;
  Result<Page<Stored>> ListComparisons(const std::string& task, const PageRequest& page) override;
  Result<ComparisonCounts> Count(const ComparisonPlan& plan) override;
  Result<void> Decide(const std::string& id, const std::string& verdict, const std::string& reason,
                      Timestamp at) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace tidewheel::monitoring
