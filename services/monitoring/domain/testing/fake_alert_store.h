#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/monitoring/domain/alert_store.h"

namespace tidewheel::monitoring {

/// Alerts in memory; a body that fails changes nothing. For one thread.
class FakeAlertStore final : public AlertStore {
 public:
  struct Told {
    std::string cause;
    AlertChange change;
  };
  std::vector<Alert> alerts;  // In the order they were raised.
  std::map<std::string, std::string> states;
  std::map<std::string, std::vector<Finding>> findings;  // By window.
  std::map<WindowKey, WindowNote> notes;
  std::vector<Told> told;
  std::set<std::string> events;
  bool fail_next_commit = false;

  const Alert* Open(const std::string& name) const {
    for (const auto& alert : alerts) {
      if (alert.open() && alert.diagnosis.cause == name) return &alert;
    }
    return nullptr;
  }
  std::vector<std::string> Raised() const {
    std::vector<std::string> causes;
    for (const auto& alert : alerts) causes.push_back(alert.diagnosis.cause);
    return causes;
  }

  Result<void> InTask(const std::string& task,
                      const std::function<Result<void>(AlertLedger&)>& body) override {
    FakeAlertStore copy = *this;
    Ledger ledger(copy, task);
    const auto done = body(ledger);
    if (!done) return done;
    if (std::exchange(fail_next_commit, false)) {
      return Error{ErrorCode::kUnavailable, "the database went away"};
    }
    copy.fail_next_commit = false;
    *this = std::move(copy);
    return {};
  }
  Result<std::optional<Alert>> FindAlert(const std::string& id) override {
    for (const auto& alert : alerts) {
      if (alert.id == id) return std::optional<Alert>(alert);
    }
    return std::optional<Alert>();
  }
  Result<Page<Alert>> ListAlerts(const std::string& task, std::optional<AlertState> state,
                                 const PageRequest& /*page*/) override {
    Page<Alert> page;
    for (const auto& alert : alerts) {
      if ((task.empty() || alert.model.task == task) && (!state || alert.state == *state)) {
        page.items.insert(page.items.begin(), alert);
      }
    }
    return page;
  }
  Result<Page<Finding>> ListFindings(const FindingFilter& filter,
                                     const PageRequest& /*page*/) override {
    Page<Finding> page;
    for (const auto& [window, each] : findings) {
      for (const auto& finding : each) {
        if (!filter.firing_only || finding.fires) page.items.push_back(finding);
      }
    }
    return page;
  }
  Result<std::uint64_t> Forget(Timestamp /*before*/) override { return std::uint64_t{0}; }

 private:
  class Ledger final : public AlertLedger {
   public:
    Ledger(FakeAlertStore& store, std::string task) : store_(store), task_(std::move(task)) {}
    Result<std::string> State(const std::string& name) override {
      return store_.states[task_ + "/" + name];
    }
    Result<void> SaveState(const std::string& name, const std::string& bytes) override {
      store_.states[task_ + "/" + name] = bytes;
      return {};
    }
    Result<bool> FirstTime(const std::string& event_id) override {
      return store_.events.insert(event_id).second;
    }
    Result<std::vector<Alert>> OpenAlerts() override {
      std::vector<Alert> open;
      for (const auto& alert : store_.alerts) {
        if (alert.open() && alert.model.task == task_) open.push_back(alert);
      }
      return open;
    }
    Result<void> Save(const Alert& alert, AlertChange change, Timestamp /*now*/) override {
      if (change != AlertChange::kUpdated) {
        store_.told.push_back({alert.diagnosis.cause, change});
      }
      for (auto& each : store_.alerts) {
        if (each.id != alert.id) continue;
        each = alert;
        return {};
      }
      store_.alerts.push_back(alert);
      return {};
    }
    Result<void> ReplaceFindings(const std::string& window_id, std::span<const Finding> found,
                                 std::span<const std::string> /*alert_ids*/) override {
      store_.findings[window_id] = {found.begin(), found.end()};
      return {};
    }
    Result<void> NoteWindow(const WindowKey& window, const WindowNote& note) override {
      store_.notes[window] = note;
      return {};
    }

   private:
    FakeAlertStore& store_;
    const std::string task_;
  };
};

}  // namespace tidewheel::monitoring
