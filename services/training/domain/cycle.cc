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
constexpr std::array kOutcomes{
    std::pair{DecisionOutcome::kNotStarted, std::string_view("not_started")},
    std::pair{DecisionOutcome::kStarted, std::string_view("started")},
    std::pair{DecisionOutcome::kPaused, std::string_view("paused")},
    std::pair{DecisionOutcome::kResumed, std::string_view("resumed")},
    std::pair{DecisionOutcome::kRetried, std::string_view("retried")},
    std::pair{DecisionOutcome::kCancelled, std::string_view("cancelled")},
    std::pair{DecisionOutcome::kWentOn, std::string_view("went_on")}};

template <typename Names, typename Value>
std::string_view NameIn(const Names& names, Value value) {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  return "";
}

template <typename Value, typename Names>
std::optional<Value> ValueIn(const Names& names, std::string_view name) {
  for (const auto& [value, known] : names) {
    if (known == name) return value;
  }
  return std::nullopt;
}

}  // namespace

std::string_view Name(CycleState state) { return NameIn(kNames, state); }

std::optional<CycleState> CycleStateFrom(std::string_view name) {
  return ValueIn<CycleState>(kNames, name);
}

std::string_view Name(DecisionOutcome outcome) { return NameIn(kOutcomes, outcome); }

std::optional<DecisionOutcome> DecisionOutcomeFrom(std::string_view name) {
  return ValueIn<DecisionOutcome>(kOutcomes, name);
}

bool HasEnded(CycleState state) { return state >= CycleState::kPromoted; }

}  // namespace tidewheel::training
