#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/training/domain/acquisition.h"
#include "tidewheel/training/domain/cycle.h"
#include "tidewheel/training/domain/cycle_callees.h"
#include "tidewheel/training/domain/cycle_store.h"
#include "tidewheel/training/domain/run_queue.h"

namespace tidewheel::training {

/// Takes cycles from step to step: triggered, collecting, labeling, building, training, gating,
/// sign-off, shadow, canary, and an end. For one thread; any number of copies share the work by
/// leases.
///
/// One step asks others for things that have an id of the cycle's, and then saves where the cycle
/// is by now, in one transaction. Whoever dies in between leaves a step that the next one repeats:
/// it finds what is there and makes nothing twice. What goes wrong for the moment (a service is
/// away) is tried again, ever more slowly, and shows in the cycle's reason; what goes wrong for
/// good fails the cycle, which can be retried from there. An end other than a promotion is reached
/// in two steps: it is decided, then leases, run and traffic are taken back.
class CycleDriver {
 public:
  struct Policy {
    std::string owner;  // Of this process: no other has it.
    std::chrono::milliseconds lease{120'000};
    std::chrono::milliseconds poll{1'000};  // Between looks at what is waited for.
    std::chrono::milliseconds first_backoff{500};
    std::chrono::milliseconds last_backoff{15'000};
    std::uint32_t odd_failures = 5;  // Of a kind that should not pass (INTERNAL) until it fails.
    std::uint32_t run_threads = 1;   // Of a training: what a second of it costs.
    std::function<void(const Cycle&)> on_end{};  // Told of each cycle whose end it saved.
  };

  struct Callees {
    ModelDesk& models;
    TrafficWatch& traffic;
    LabelQueue& labels;
    DatasetDesk& datasets;
    SampleCatalogue& samples;
    RunQueue& runs;
  };

  CycleDriver(CycleStore& store, Callees callees, const Clock& clock, Policy policy)
      : store_(store), callees_(callees), clock_(clock), policy_(std::move(policy)) {}

  /// Takes one step of one cycle that is due. False: none is.
  Result<bool> StepNext();

 private:
  /// What one step came to.
  struct Progress {
    enum class Kind { kWaits, kMoves, kIsDecided, kGoesOn } kind = Kind::kWaits;
    CycleState to = CycleState::kTriggered;  // Of kMoves and kIsDecided.
    std::string words;
    std::map<std::string, std::string> details;
    std::vector<CycleSample> chosen;
    std::vector<Decision> decisions;
  };
  using Step = Result<Progress>;

  /// Nothing to do before the next look.
  static Progress Waits(std::string words);
  /// Into another state, or to the next share of a canary.
  static Progress Moves(CycleState to, std::string words);
  /// An end, once everything is taken back.
  static Progress IsDecided(CycleState end, std::string words);
  /// The same state, and the next step at once.
  static Progress GoesOn(std::string words);

  Step Work(Cycle& cycle);
  Step Begin(Cycle& cycle);
  Step Collect(Cycle& cycle, const TaskPolicy& task);
  Step Label(Cycle& cycle, const TaskPolicy& task);
  Step Build(Cycle& cycle, const TaskPolicy& task);
  Step Train(Cycle& cycle, const TaskPolicy& task);
  Step Gate(Cycle& cycle, const TaskPolicy& task);
  Step AwaitSignOff(Cycle& cycle, const TaskPolicy& task);
  Step Shadow(Cycle& cycle, const TaskPolicy& task);
  Step Canary(Cycle& cycle, const TaskPolicy& task);
  Step Promote(Cycle& cycle);
  /// Takes back leases, run and traffic, and reaches the end that was decided.
  Step TakeBack(Cycle& cycle);

  /// A policy's review of labels, between the votes and `moves`.
  Step Review(Cycle& cycle, const TaskPolicy& task, Progress moves);
  Result<std::vector<CycleSample>> FindDoubtful(const Cycle& cycle, const TaskPolicy& task);
  Result<std::vector<AcquisitionList>> Offers(const Cycle& cycle, const TaskPolicy& task);
  Result<std::vector<GateSample>> GateSamplesOf(const Cycle& cycle, const TaskPolicy& task);
  /// A reason to end when somebody else changed what serves, or why it is not known.
  Result<std::optional<Progress>> BaselineMoved(const Cycle& cycle);
  Result<ComparisonFacts> Compare(Cycle& cycle, const TaskPolicy& task, const std::string& stage,
                                  double share);
  /// The rules for what comes after the gate has let a candidate through.
  static CycleState AfterGate(const TaskPolicy& task);
  static CycleState AfterSignOff(const TaskPolicy& task);

  double SecondsInStage(const Cycle& cycle) const;
  /// What of the budget can come at all; decisions tell of the rest.
  LabelBudget Awaited(const Cycle& cycle, const TaskPolicy& task,
                      std::vector<Decision>* decisions) const;
  Result<void> Save(Cycle& cycle, const Step& step);
  /// What a call that failed means for the cycle.
  Progress AfterFailure(Cycle& cycle, const Error& error) const;

  CycleStore& store_;
  Callees callees_;
  const Clock& clock_;
  const Policy policy_;
  std::map<std::pair<std::string, std::uint32_t>, TaskPolicy> tasks_;  // They never change.
};

}  // namespace tidewheel::training
