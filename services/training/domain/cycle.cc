#include "tidewheel/training/domain/cycle.h"

#include <array>
#include <utility>

namespace tidewheel::training {
namespace {

constexpr std::array kNames{
    std::pair{CycleState::kTriggered, std::string_view("triggered")},
    std::pair{CycleState::kCollecting, std::string_view("collecting")},
    std::pair{CycleState::kLabeling, std::string_view("labeling")},
    std::pair{CycleState::kBuilding, std::string_view("building")},
    std::pair{CycleState::kTraining, std::string_view("training")},
    std::pair{CycleState::kGating, std::string_view("gating")},
    std::pair{CycleState::kAwaitingSignOff, std::string_view("awaiting_sign_off")},
    std::pair{CycleState::kShadow, std::string_view("shadow")},
    std::pair{CycleState::kCanary, std::string_view("canary")},
    std::pair{CycleState::kPromoted, std::string_view("promoted")},
    std::pair{CycleState::kRejected, std::string_view("rejected")},
    std::pair{CycleState::kRolledBack, std::string_view("rolled_back")},
    std::pair{CycleState::kCancelled, std::string_view("cancelled")},
    std::pair{CycleState::kFailed, std::string_view("failed")}};

}  // namespace

std::string_view Name(CycleState state) {
  for (const auto& [known, name] : kNames) {
    if (known == state) return name;
  }
  return "";
}

std::optional<CycleState> CycleStateFrom(std::string_view name) {
  for (const auto& [state, known] : kNames) {
    if (known == name) return state;
  }
  return std::nullopt;
}

bool HasEnded(CycleState state) { return state >= CycleState::kPromoted; }

}  // namespace tidewheel::training
