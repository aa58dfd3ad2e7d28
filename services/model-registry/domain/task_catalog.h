#pragma once

#include <string>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/model_registry/domain/task_spec.h"
#include "tidewheel/model_registry/domain/task_store.h"

namespace tidewheel::model_registry {

/// A declaration as it came in, parsed and in its canonical form.
struct Declaration {
  TaskSpec spec;
  std::string yaml;    // As sent.
  std::string digest;  // SHA-256 of the canonical YAML of `spec`.
};

struct AppliedTask {
  Task task;
  bool changed = false;
};

/// Keeps the declared tasks: versions are added, never changed. Thread-safe.
class TaskCatalog {
 public:
  TaskCatalog(TaskStore& store, const Clock& clock) : store_(store), clock_(clock) {}

  /// kInvalidArgument: the spec breaks a rule. kFailedPrecondition: it takes back what data already
  /// hangs on.
  Result<AppliedTask> Apply(const Declaration& declaration, const std::string& actor, bool dry_run);
  /// Version 0 is the newest. kNotFound.
  Result<Task> Find(const std::string& name, std::uint32_t version);
  Result<Page<Task>> List(const PageRequest& page) { return store_.List(page); }

 private:
  TaskStore& store_;
  const Clock& clock_;
};

}  // namespace tidewheel::model_registry
