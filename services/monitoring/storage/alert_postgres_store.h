#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/monitoring/domain/alert_store.h"
#include "tidewheel/monitoring/domain/notification.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::monitoring {

/// Alerts, findings and notifications in PostgreSQL. Writers of one task wait for each other at an
/// advisory lock; the open alert of a task and cause is unique by an index.
class PostgresAlertStore final : public AlertStore, public NotificationQueue {
 public:
  /// `plan` says whom to tell of a change that is not muted; empty: nobody.
  using Plan = std::function<std::vector<NotificationDraft>(const Alert&, AlertChange)>;

  explicit PostgresAlertStore(postgres::Pool& pool, Plan plan = {})
      : pool_(pool), plan_(std::move(plan)) {}

  Result<void> InTask(const std::string& task,
                      const std::function<Result<void>(AlertLedger&)>& body) override;
  Result<std::optional<Alert>> FindAlert(const std::string& id) override;
  Result<Page<Alert>> ListAlerts(const std::string& task, std::optional<AlertState> state,
                                 const PageRequest& page) override;
  Result<Page<Finding>> ListFindings(const FindingFilter& filter, const PageRequest& page) override;
  /// Findings that do not fire and belong to no alert, and notifications that are done.
  Result<std::uint64_t> Forget(Timestamp before) override;

  Result<std::vector<Notification>> Take(Timestamp now, std::chrono::milliseconds lease,
                                         std::size_t limit) override;
  Result<void> Delivered(std::int64_t id, Timestamp now) override;
  Result<void> Failed(std::int64_t id, Timestamp due_at, const std::string& error,
                      bool abandoned) override;

 private:
  postgres::Pool& pool_;
  const Plan plan_;
};

}  // namespace tidewheel::monitoring
