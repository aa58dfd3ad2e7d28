#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"

namespace tidewheel::monitoring {

/// The target that is Alertmanager, wherever it is; every other target is a URL.
inline constexpr char kAlertmanagerTarget[] = "alertmanager";

/// Who is to be told what.
struct NotificationDraft {
  std::string target;
  std::string body;  // JSON.
};

/// A draft that waits until it has been delivered.
struct Notification {
  std::int64_t id = 0;
  std::string alert_id;
  std::string change;  // "raised", "acknowledged", "resolved".
  std::string target;
  std::string body;
  std::uint32_t attempts = 0;  // Before this one.
};

/// Notifications in the order they were written. Thread-safe; copies of the service share it.
class NotificationQueue {
 public:
  virtual ~NotificationQueue() = default;

  /// Those that are due, taken for `lease`: nobody else gets them before. Of an alert and target
  /// only the oldest, so that no one hears of an end before the beginning.
  virtual Result<std::vector<Notification>> Take(Timestamp now, std::chrono::milliseconds lease,
                                                 std::size_t limit) = 0;
  virtual Result<void> Delivered(std::int64_t id, Timestamp now) = 0;
  virtual Result<void> Failed(std::int64_t id, Timestamp due_at, const std::string& error,
                              bool abandoned) = 0;
};

}  // namespace tidewheel::monitoring
