#include "tidewheel/training/domain/run_executor.h"

#include "tidewheel/base/worker.h"

namespace tidewheel::training {
namespace {

constexpr std::chrono::milliseconds kAwayPause{500};  // Between two tries of what is away.

/// Whether somebody who is needed is away, which says nothing about the run.
bool MayPass(ErrorCode code) { return IsTransient(code) || code == ErrorCode::kDeadlineExceeded; }

}  // namespace

Result<bool> RunExecutor::RunNext(const std::stop_token& stop) {
  const auto recovered = store_.RecoverLost(clock_.Now(), policy_.attempts);
  if (!recovered) return recovered.error();
  const auto claimed = store_.Claim(policy_.owner, clock_.Now(), policy_.lease);
  if (!claimed) return claimed.error();
  if (!*claimed) return false;
  const Run& run = **claimed;

  bool cancelled = false;
  bool lost = false;
  const auto on_progress = [&](const Progress& progress) {
    const auto renewed = store_.Renew(
        run.id, policy_.owner,
        clock_.Now() + std::chrono::duration_cast<std::chrono::microseconds>(policy_.lease),
        progress);
    // The database may be away for a moment: the lease says how long that can be borne.
    if (!renewed) lost = lost || renewed.error().code == ErrorCode::kAborted;
    if (renewed && *renewed) cancelled = true;
    return !cancelled && !lost && !stop.stop_requested();
  };
  // The registry or the database may be away.
  Pause pause;
  auto end = launcher_.Launch(run, on_progress);
  while (!end && MayPass(end.error().code) &&
         on_progress({"preparing", 0, run.dataset.items, 0, 0, 0, 0, 0, 0}) &&
         pause.Wait(stop, kAwayPause)) {
    end = launcher_.Launch(run, on_progress);
  }
  if (!end) {
    if (lost || stop.stop_requested()) return true;
    return store_
        .End(run.id, policy_.owner, clock_.Now(),
             cancelled ? RunState::kCancelled : RunState::kFailed,
             cancelled ? "cancelled while it waited for its worker"
                       : "the worker could not be started: " + end.error().message)
        .ok();
  }
  if (lost || (stop.stop_requested() && !end->outcome && !cancelled)) return true;
  if (const auto concluded = Conclude(run, *end, cancelled, stop); !concluded) {
    return concluded.error();
  }
  launcher_.Remove(run.id);
  return true;
}

Result<void> RunExecutor::Conclude(const Run& run, const WorkerEnd& end, bool cancelled,
                                   const std::stop_token& stop) {
  if (!end.outcome) {
    const RunState state = cancelled ? RunState::kCancelled : RunState::kFailed;
    return store_.End(run.id, policy_.owner, clock_.Now(), state,
                      cancelled ? "cancelled while it ran" : end.failure);
  }
  // The registry may be away: the run's work is not thrown away for that.
  Pause pause;
  Result<std::string> model = std::string();
  do {
    model = registrar_.Register(run, end.folder);
    if (model || !MayPass(model.error().code)) break;
    const auto renewed = store_.Renew(
        run.id, policy_.owner,
        clock_.Now() + std::chrono::duration_cast<std::chrono::microseconds>(policy_.lease),
        {"packaging", 0, 1, 0, 0, 0, 0, 0, 0});
    if (renewed && *renewed) {
      return store_.End(run.id, policy_.owner, clock_.Now(), RunState::kCancelled,
                        "cancelled while its package waited for the registry");
    }
  } while (pause.Wait(stop, kAwayPause));
  if (stop.stop_requested() && !model) return {};
  if (!model) {
    return store_.End(run.id, policy_.owner, clock_.Now(), RunState::kFailed,
                      "its package was refused: " + model.error().message);
  }
  return store_.Succeed(run.id, policy_.owner, clock_.Now(), *end.outcome, *model);
}

}  // namespace tidewheel::training
