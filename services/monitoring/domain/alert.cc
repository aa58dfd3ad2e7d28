#include "tidewheel/monitoring/domain/alert.h"

#include <array>
#include <utility>

namespace tidewheel::monitoring {
namespace {

constexpr std::array<std::pair<AlertState, std::string_view>, 3> kStates = {
    {{AlertState::kRaised, "raised"},
     {AlertState::kAcknowledged, "acknowledged"},
     {AlertState::kResolved, "resolved"}}};

}  // namespace

std::string_view Name(AlertState state) { return kStates[static_cast<std::size_t>(state)].second; }

Result<AlertState> AlertStateNamed(std::string_view name) {
  for (const auto& [state, text] : kStates) {
    if (text == name) return state;
  }
  return Error{ErrorCode::kNotFound, "no state of an alert is called " + std::string(name)};
}

std::string_view EventType(AlertChange change) {
  switch (change) {
    case AlertChange::kRaised:
      return "alert.raised";
    case AlertChange::kUpdated:
      return "";
    case AlertChange::kAcknowledged:
      return "alert.acknowledged";
    case AlertChange::kMuted:
      return "alert.muted";
    case AlertChange::kResolved:
      return "alert.resolved";
  }
  return "";
}

bool CauseExplains(std::string_view open, std::string_view other) {
  const bool answers =
      other == cause::kPredictionDrift || other == cause::kAccuracy || other == cause::kSlice;
  if (open == cause::kSensorFault) {
    return answers || other == cause::kDataDrift || other == cause::kLabelShift ||
           other == cause::kConceptDrift;
  }
  if (open == cause::kDataDrift) {
    return answers || other == cause::kConceptDrift || other == cause::kLabelShift;
  }
  if (open == cause::kLabelShift || open == cause::kConceptDrift) return answers;
  if (open == cause::kPredictionDrift || open == cause::kAccuracy) {
    return other == cause::kPredictionDrift || other == cause::kAccuracy;
  }
  return false;
}

}  // namespace tidewheel::monitoring
