#include "tidewheel/training/domain/run.h"

namespace tidewheel::training {

std::string_view Name(RunState state) {
  switch (state) {
    case RunState::kQueued:
      return "queued";
    case RunState::kRunning:
      return "running";
    case RunState::kSucceeded:
      return "succeeded";
    case RunState::kFailed:
      return "failed";
    case RunState::kCancelled:
      return "cancelled";
  }
  return "queued";
}

std::optional<RunState> RunStateFrom(std::string_view name) {
  for (const RunState state : {RunState::kQueued, RunState::kRunning, RunState::kSucceeded,
                               RunState::kFailed, RunState::kCancelled}) {
    if (Name(state) == name) return state;
  }
  return std::nullopt;
}

bool HasEnded(RunState state) { return state != RunState::kQueued && state != RunState::kRunning; }

}  // namespace tidewheel::training
