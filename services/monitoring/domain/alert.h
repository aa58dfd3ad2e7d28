#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/cause.h"
#include "tidewheel/monitoring/domain/finding.h"
#include "tidewheel/monitoring/domain/prediction.h"

namespace tidewheel::monitoring {

enum class AlertState { kRaised, kAcknowledged, kResolved };

/// "raised", "acknowledged", "resolved".
std::string_view Name(AlertState state);
Result<AlertState> AlertStateNamed(std::string_view name);

/// One cause of trouble of a task, however many features show it. At most one of a task and cause
/// is open at a time.
struct Alert {
  std::string id;  // A UUID.
  ModelKey model;
  AlertState state = AlertState::kRaised;
  Timestamp muted_until{};
  Diagnosis diagnosis;
  Timestamp raised_at{};
  Timestamp updated_at{};
  std::optional<Timestamp> resolved_at;
  std::string acknowledged_by;
  std::string resolution;  // Why it was resolved, or by whom.
  /// Windows (or blocks of outcomes) in a row without a finding, and of which model.
  std::uint32_t quiet = 0;
  std::string quiet_model;
  std::vector<std::string> webhooks;  // Who is told.

  bool open() const { return state != AlertState::kResolved; }
  bool muted(Timestamp now) const { return muted_until > now; }
};

/// What others hear of: the topic's event types. kUpdated is none.
enum class AlertChange { kRaised, kUpdated, kAcknowledged, kMuted, kResolved };

/// "alert.raised" and so on; empty for kUpdated.
std::string_view EventType(AlertChange change);

/// Quiet windows in a row that resolve an alert.
inline constexpr std::uint32_t kQuietToResolve = 3;

/// Whether trouble of one cause shows itself in the findings of another: then it is not told apart.
bool CauseExplains(std::string_view open, std::string_view other);

}  // namespace tidewheel::monitoring
