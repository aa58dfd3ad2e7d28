#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tidewheel::monitoring {

/// What a task asks of its monitoring; the registry fills in what a task does not say.
struct MonitoringPolicy {
  /// A window closes at so many predictions.
  std::uint32_t window_predictions = 200;
  /// And windows of event time beside them; 0: none.
  double window_seconds = 0;
  /// How long after the newest event of its task an older one is waited for.
  double lateness_seconds = 2;
  /// At most `max_false_alarms` in `false_alarm_days` days at `predictions_per_day`.
  double max_false_alarms = 1;
  double false_alarm_days = 30;
  double predictions_per_day = 10'000;
  /// Metadata keys whose values make slices; at most 8.
  std::vector<std::string> slice_keys;
  /// No prediction for so long is silence; 0: never.
  double silence_seconds = 0;
  /// URLs that are told of alerts.
  std::vector<std::string> webhooks;

  friend bool operator==(const MonitoringPolicy&, const MonitoringPolicy&) = default;
};

}  // namespace tidewheel::monitoring
