#include "tidewheel/monitoring/notify/notification_worker.h"

#include <algorithm>
#include <vector>

#include "tidewheel/log/log.h"
#include "tidewheel/monitoring/notify/alert_message.h"

namespace tidewheel::monitoring {
namespace {

constexpr std::size_t kBatch = 20;
constexpr std::chrono::seconds kLease{120};  // Longer than a batch of attempts that all time out.
constexpr char kAlertmanagerPath[] = "/api/v2/alerts";
constexpr std::size_t kMostOpen = 1'000;

}  // namespace

NotificationWorker::NotificationWorker(NotificationQueue& queue, AlertStore& alerts,
                                       HttpPoster& poster, const Clock& clock,
                                       const Options& options, NotifyCounters counters)
    : queue_(queue),
      alerts_(alerts),
      poster_(poster),
      clock_(clock),
      options_(options),
      counters_(counters),
      worker_("notify", [this](std::stop_token stop) { Run(stop); }) {}

void NotificationWorker::Run(std::stop_token stop) {
  auto refresh_due = std::chrono::steady_clock::now() + options_.refresh;
  do {
    while (!stop.stop_requested()) {
      const auto delivered = Deliver(stop);
      if (!delivered) log::Warning("notifications not read", {{"error", delivered.error()}});
      if (!delivered || *delivered == 0) break;
    }
    if (!options_.alertmanager_url.empty() && std::chrono::steady_clock::now() >= refresh_due) {
      if (const auto done = Refresh(); !done) {
        log::Warning("open alerts not sent again", {{"error", done.error()}});
      }
      refresh_due = std::chrono::steady_clock::now() + options_.refresh;
    }
  } while (pause_.Wait(stop, options_.look));
}

Result<void> NotificationWorker::Send(const Notification& notification) {
  const HttpPoster::Headers headers = {
      {"Idempotency-Key", notification.alert_id + "/" + notification.change}};
  if (notification.target != kAlertmanagerTarget) {
    return poster_.Post(notification.target, notification.body, headers);
  }
  if (options_.alertmanager_url.empty()) {
    return Error{ErrorCode::kFailedPrecondition, "no Alertmanager is configured any more"};
  }
  return poster_.Post(options_.alertmanager_url + kAlertmanagerPath, notification.body, headers);
}

Result<std::size_t> NotificationWorker::Deliver(std::stop_token stop) {
  const auto taken = queue_.Take(clock_.Now(), kLease, kBatch);
  if (!taken) return taken.error();
  for (const auto& notification : *taken) {
    if (stop.stop_requested()) break;  // The lease ends by itself.
    const auto sent = Send(notification);
    if (sent) {
      counters_.delivered.Add(1);
      const auto marked = queue_.Delivered(notification.id, clock_.Now());
      if (!marked) return marked.error();
      continue;
    }
    counters_.failed.Add(1);
    const bool give_up = sent.error().code == ErrorCode::kFailedPrecondition ||
                         notification.attempts + 1 >= options_.most_attempts;
    if (give_up) {
      counters_.abandoned.Add(1);
      log::Error("a notification is given up", {{"alert_id", notification.alert_id},
                                                {"change", notification.change},
                                                {"error", sent.error()}});
    }
    auto pause = options_.first_pause;
    for (std::uint32_t i = 0; i < notification.attempts && pause < options_.longest_pause; ++i) {
      pause *= 2;
    }
    pause = std::min(pause, options_.longest_pause);
    const auto marked =
        queue_.Failed(notification.id, clock_.Now() + pause, sent.error().message, give_up);
    if (!marked) return marked.error();
  }
  return taken->size();
}

Result<void> NotificationWorker::Refresh() {
  std::vector<Alert> open;
  for (const auto state : {AlertState::kRaised, AlertState::kAcknowledged}) {
    const auto page = alerts_.ListAlerts("", state, {kMostOpen, ""});
    if (!page) return page.error();
    for (const auto& alert : page->items) {
      if (!alert.muted(clock_.Now())) open.push_back(alert);
    }
  }
  if (open.empty()) return {};
  return poster_.Post(options_.alertmanager_url + kAlertmanagerPath, AlertmanagerJson(open), {});
}

}  // namespace tidewheel::monitoring
