#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/model_registry/domain/audit.h"
#include "tidewheel/model_registry/domain/page.h"
#include "tidewheel/model_registry/domain/task_spec.h"

namespace tidewheel::model_registry {

/// What the domain needs of task storage. Thread-safe.
class TaskStore {
 public:
  virtual ~TaskStore() = default;

  /// Stores `task` as version `task.version` with its audit entry, together or not at all.
  /// kAborted: somebody stored that version meanwhile.
  virtual Result<void> Append(const Task& task, const AuditDraft& audit) = 0;
  /// The newest version, or none.
  virtual Result<std::optional<Task>> FindNewest(const std::string& name) = 0;
  virtual Result<std::optional<Task>> FindVersion(const std::string& name,
                                                  std::uint32_t version) = 0;
  /// The newest version of each, by name.
  virtual Result<Page<Task>> List(const PageRequest& page) = 0;
};

}  // namespace tidewheel::model_registry
