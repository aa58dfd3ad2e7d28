#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/alert.h"
#include "tidewheel/monitoring/domain/finding.h"
#include "tidewheel/monitoring/domain/monitoring_store.h"
#include "tidewheel/monitoring/domain/window_rows.h"

namespace tidewheel::monitoring {

/// What one transaction that holds a task may read and write.
class AlertLedger {
 public:
  virtual ~AlertLedger() = default;

  /// Bytes kept under a name of the task; empty when there are none.
  virtual Result<std::string> State(const std::string& name) = 0;
  virtual Result<void> SaveState(const std::string& name, const std::string& bytes) = 0;
  /// Whether an event of this id was not seen before.
  virtual Result<bool> FirstTime(const std::string& event_id) = 0;
  /// Oldest first.
  virtual Result<std::vector<Alert>> OpenAlerts() = 0;
  /// With its findings; tells others of `change`: the topic, and unless it is muted those who are
  /// notified.
  virtual Result<void> Save(const Alert& alert, AlertChange change, Timestamp now) = 0;
  /// Takes the place of what was found in `window_id` before. `alert_ids` beside findings; empty
  /// where none.
  virtual Result<void> ReplaceFindings(const std::string& window_id,
                                       std::span<const Finding> findings,
                                       std::span<const std::string> alert_ids) = 0;
  virtual Result<void> NoteWindow(const WindowKey& window, const WindowNote& note) = 0;
};

struct FindingFilter {
  ModelKey model;  // Empty fields: all.
  std::optional<FindingKind> kind;
  bool firing_only = false;
  std::string alert_id;
};

/// Thread-safe.
class AlertStore {
 public:
  virtual ~AlertStore() = default;

  /// Runs `body` in a transaction that no other of the same task runs beside; it commits when the
  /// body returns no error.
  virtual Result<void> InTask(const std::string& task,
                              const std::function<Result<void>(AlertLedger&)>& body) = 0;
  virtual Result<std::optional<Alert>> FindAlert(const std::string& id) = 0;
  /// Newest first, without histograms.
  virtual Result<Page<Alert>> ListAlerts(const std::string& task, std::optional<AlertState> state,
                                         const PageRequest& page) = 0;
  /// Newest first.
  virtual Result<Page<Finding>> ListFindings(const FindingFilter& filter,
                                             const PageRequest& page) = 0;
  /// Drops findings of windows before `before` that neither fire nor belong to an alert,
  /// notifications that are done, and the ids of events that were seen before it. Returns how many
  /// findings.
  virtual Result<std::uint64_t> Forget(Timestamp before) = 0;
};

}  // namespace tidewheel::monitoring
