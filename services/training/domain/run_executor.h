#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "tidewheel/base/clock.h"
#include "tidewheel/training/domain/run_store.h"

namespace tidewheel::training {

/// What became of a worker process.
struct WorkerEnd {
  std::optional<RunOutcome> outcome;  // When it finished its work.
  std::string folder;                 // Where its package lies.
  bool stopped = false;               // Because it was asked to.
  std::string failure;  // Why there is no outcome: its own reason, or how the process ended.
};

/// Runs one training in a process of its own.
class WorkerLauncher {
 public:
  virtual ~WorkerLauncher() = default;
  /// Blocks until the worker has ended. `on_progress` is called every second or so, with news or
  /// without; when it says false the worker is asked to stop. An Error: it could not be started;
  /// one that may pass (what it needs is away) is tried again.
  virtual Result<WorkerEnd> Launch(const Run& run,
                                   const std::function<bool(const Progress&)>& on_progress) = 0;
  /// The run's folder is not needed any more.
  virtual void Remove(const std::string& run_id) = 0;
};

/// Puts a finished package into the payload store and registers it.
class PackageRegistrar {
 public:
  virtual ~PackageRegistrar() = default;
  /// The model version's id; the same for a repeat.
  virtual Result<std::string> Register(const Run& run, const std::string& folder) = 0;
};

/// Takes runs from the queue one by one and sees each to its end: succeeded, failed with a reason,
/// or cancelled. What a dead service left running is queued again. For one thread.
class RunExecutor {
 public:
  struct Policy {
    std::string owner;                        // Of this process: no other has it.
    std::chrono::milliseconds lease{10'000};  // Renewed every second or so.
    std::uint32_t attempts = 3;               // Of a run whose worker or service was interrupted.
  };

  RunExecutor(RunStore& store, WorkerLauncher& launcher, PackageRegistrar& registrar,
              const Clock& clock, Policy policy)
      : store_(store),
        launcher_(launcher),
        registrar_(registrar),
        clock_(clock),
        policy_(std::move(policy)) {}

  /// Sees one run to its end. False: none waits. When stopped, the run is left for its lease to
  /// pass.
  Result<bool> RunNext(const std::stop_token& stop);

 private:
  Result<void> Conclude(const Run& run, const WorkerEnd& end, bool cancelled,
                        const std::stop_token& stop);

  RunStore& store_;
  WorkerLauncher& launcher_;
  PackageRegistrar& registrar_;
  const Clock& clock_;
  const Policy policy_;
};

}  // namespace tidewheel::training
