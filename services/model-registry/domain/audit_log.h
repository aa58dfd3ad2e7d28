#pragma once

#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/model_registry/domain/audit.h"
#include "tidewheel/model_registry/domain/page.h"

namespace tidewheel::model_registry {

struct ChainReport {
  bool intact = true;
  std::uint64_t entries = 0;
  std::uint64_t first_broken_number = 0;  // 0 when intact.
  std::string problem;
};

/// What can be asked of the audit log. Entries are written by the stores, with what they tell of.
/// Thread-safe.
class AuditLog {
 public:
  virtual ~AuditLog() = default;
  /// Newest first; an empty subject means all.
  virtual Result<Page<AuditEntry>> List(const std::string& subject, const PageRequest& page) = 0;
  /// Reads the whole chain, a bounded number of entries at a time.
  virtual Result<ChainReport> Verify() = 0;
};

}  // namespace tidewheel::model_registry
