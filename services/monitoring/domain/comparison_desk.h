#pragma once

#include <string>
#include <utility>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/comparison.h"

namespace tidewheel::monitoring {

/// Starts comparisons and says how they stand. A verdict that was once given stays. Thread-safe.
class ComparisonDesk {
 public:
  ComparisonDesk(ComparisonStore& store, const Clock& clock) : store_(store), clock_(clock) {}

  /// The comparison, and whether it is new. kAlreadyExists: the id names another one.
  Result<std::pair<Comparison, bool>> Start(ComparisonPlan plan);
  /// kNotFound.
  Result<Comparison> Find(const std::string& id);
  Result<Page<Comparison>> List(const std::string& task, const PageRequest& page);

 private:
  Result<Comparison> Look(const ComparisonStore::Stored& stored);

  ComparisonStore& store_;
  const Clock& clock_;
};

}  // namespace tidewheel::monitoring
