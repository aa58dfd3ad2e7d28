#include "tidewheel/training/domain/cycle_driver.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <set>
#include <unordered_map>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/random.h"
#include "tidewheel/training/domain/doubtful_labels.h"

namespace tidewheel::training {
namespace {

constexpr std::uint32_t kMaxRanked = 10'000;  // Monitoring's limit for one question.
constexpr std::uint32_t kMinRanked = 2'000;
constexpr std::size_t kMaxTasksKept = 1'000;

std::string Text(double number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g", number);
  return text.data();
}

std::string Count(std::uint64_t number) { return std::to_string(number); }

std::chrono::microseconds Micro(std::chrono::milliseconds duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration);
}

/// Nobody can say whether such a call had its effect: it is repeated.
bool MayPass(ErrorCode code) {
  return IsTransient(code) || code == ErrorCode::kDeadlineExceeded || code == ErrorCode::kCancelled;
}

bool IsOdd(ErrorCode code) { return code == ErrorCode::kInternal; }

/// Answers that were wrong, or none, beyond what the baseline's rate makes one expect.
std::uint64_t Harmed(const ComparisonFacts& facts) {
  const auto beyond = [](std::uint64_t count, std::uint64_t of, std::uint64_t base,
                         std::uint64_t base_of) {
    const double rate = base_of == 0 ? 0 : static_cast<double>(base) / static_cast<double>(base_of);
    return std::max(0.0, static_cast<double>(count) - rate * static_cast<double>(of));
  };
  const double wrong =
      beyond(facts.candidate_outcomes - facts.candidate_correct, facts.candidate_outcomes,
             facts.baseline_outcomes - facts.baseline_correct, facts.baseline_outcomes);
  const double failed = beyond(facts.candidate_errors, facts.candidate_predictions,
                               facts.baseline_errors, facts.baseline_predictions);
  return static_cast<std::uint64_t>(std::llround(wrong + failed));
}

std::map<std::string, std::string> DetailsOf(const ComparisonFacts& facts) {
  std::map<std::string, std::string> details{
      {"predictions", Count(facts.candidate_predictions)},
      {"baseline_predictions", Count(facts.baseline_predictions)},
      {"outcomes", Count(facts.candidate_outcomes)},
      {"correct", Count(facts.candidate_correct)},
      {"baseline_outcomes", Count(facts.baseline_outcomes)},
      {"baseline_correct", Count(facts.baseline_correct)},
      {"errors", Count(facts.candidate_errors)},
      {"verdict", facts.verdict}};
  if (facts.accuracy_difference) details["accuracy_difference"] = Text(*facts.accuracy_difference);
  return details;
}

/// The second batch of a cycle, of samples that were asked before.
std::string ReviewBatchOf(const Cycle& cycle) { return cycle.batch_id + "-review"; }

/// Of the traffic since what started the cycle, in an order that the caller sets.
RankQuestion QuestionOf(const Cycle& cycle, const TaskPolicy& task) {
  return {
      .task = cycle.task,
      .model_version_id = cycle.baseline_model_version_id,
      .since = cycle.trigger.since,
      .order = {},
      .slice = {},
      .seed = StableHash(cycle.id, task.cycle.seed),
      .count = std::clamp(10 * std::max(task.cycle.collect_samples, BudgetOf(task.cycle).samples),
                          kMinRanked, kMaxRanked),
      .with_embeddings = false};
}

double ShareUnlike(const ComparisonFacts& facts) {
  if (facts.candidate_predictions == 0) return 0;
  return static_cast<double>(facts.disagreements) /
         static_cast<double>(facts.candidate_predictions);
}

}  // namespace

// --- what a step can come to

CycleDriver::Progress CycleDriver::Waits(std::string words) {
  return {Progress::Kind::kWaits, {}, std::move(words), {}, {}, {}};
}
CycleDriver::Progress CycleDriver::Moves(CycleState to, std::string words) {
  return {Progress::Kind::kMoves, to, std::move(words), {}, {}, {}};
}
CycleDriver::Progress CycleDriver::IsDecided(CycleState end, std::string words) {
  return {Progress::Kind::kIsDecided, end, std::move(words), {}, {}, {}};
}
CycleDriver::Progress CycleDriver::GoesOn(std::string words) {
  return {Progress::Kind::kGoesOn, {}, std::move(words), {}, {}, {}};
}

Result<bool> CycleDriver::StepNext() {
  auto claimed = store_.Claim(policy_.owner, clock_.Now(), policy_.lease);
  if (!claimed) return claimed.error();
  if (!*claimed) return false;
  Cycle cycle = **std::move(claimed);
  if (cycle.cancel_requested && !cycle.ending) {
    cycle.ending = CycleState::kCancelled;
    cycle.ending_reason = cycle.cancel_reason;
  }
  const Step step = cycle.ending ? TakeBack(cycle) : Work(cycle);
  if (const auto saved = Save(cycle, step); !saved) return saved.error();
  return true;
}

Result<void> CycleDriver::Save(Cycle& cycle, const Step& step) {
  Progress progress = step ? *step : AfterFailure(cycle, step.error());
  const Timestamp now = clock_.Now();
  CycleSave save;
  save.owner = policy_.owner;
  save.now = now;
  save.next_step_at = now;
  save.details = progress.details;
  save.chosen = progress.chosen;
  save.decisions = progress.decisions;
  if (step) cycle.failures_in_row = 0;
  switch (progress.kind) {
    case Progress::Kind::kWaits: {
      cycle.reason = progress.words;
      auto pause = policy_.poll;
      if (cycle.failures_in_row > 0) {
        const int doublings = static_cast<int>(std::min(cycle.failures_in_row - 1, 10U));
        pause = std::min(policy_.first_backoff * (1 << doublings), policy_.last_backoff);
      }
      save.next_step_at = now + Micro(pause);
      break;
    }
    case Progress::Kind::kGoesOn:
      cycle.reason = progress.words;
      break;
    case Progress::Kind::kIsDecided:
      cycle.ending = progress.to;
      cycle.ending_reason = progress.words;
      cycle.reason = progress.words;
      if (progress.to == CycleState::kFailed) cycle.failed_in = cycle.state;
      break;
    case Progress::Kind::kMoves:
      save.to = progress.to;
      save.result = progress.words;
      cycle.state = progress.to;
      cycle.stage_since = now;
      cycle.comparison_id.clear();
      cycle.reason = HasEnded(progress.to) ? cycle.ending_reason : "";
      if (HasEnded(progress.to)) cycle.ended_at = now;
      break;
  }
  const auto saved = store_.Save(cycle, save);
  if (saved && HasEnded(cycle.state) && policy_.on_end) policy_.on_end(cycle);
  return saved;
}

CycleDriver::Progress CycleDriver::AfterFailure(Cycle& cycle, const Error& error) const {
  ++cycle.failures_in_row;
  const bool again =
      MayPass(error.code) || (IsOdd(error.code) && cycle.failures_in_row < policy_.odd_failures);
  if (again) {
    return Waits("tries again (" + Count(cycle.failures_in_row) + "): " + error.message);
  }
  return IsDecided(CycleState::kFailed, error.message);
}

double CycleDriver::SecondsInStage(const Cycle& cycle) const {
  return std::chrono::duration<double>(clock_.Now() - cycle.stage_since).count();
}

CycleDriver::Step CycleDriver::Work(Cycle& cycle) {
  const auto key = std::pair(cycle.task, cycle.task_version);
  auto known = tasks_.find(key);
  if (known == tasks_.end()) {
    auto task = callees_.models.FindTask(cycle.task, cycle.task_version);
    if (!task) return task.error();
    if (tasks_.size() >= kMaxTasksKept) tasks_.clear();
    known = tasks_.emplace(key, *std::move(task)).first;
  }
  const TaskPolicy& task = known->second;
  switch (cycle.state) {
    case CycleState::kTriggered:
      return Begin(cycle);
    case CycleState::kCollecting:
      return Collect(cycle, task);
    case CycleState::kLabeling:
      return Label(cycle, task);
    case CycleState::kBuilding:
      return Build(cycle, task);
    case CycleState::kTraining:
      return Train(cycle, task);
    case CycleState::kGating:
      return Gate(cycle, task);
    case CycleState::kAwaitingSignOff:
      return AwaitSignOff(cycle, task);
    case CycleState::kShadow:
      return Shadow(cycle, task);
    case CycleState::kCanary:
      return Canary(cycle, task);
    default:
      return Error{ErrorCode::kInternal, "cycle " + cycle.id + " has ended and was claimed"};
  }
}

// --- triggered

CycleDriver::Step CycleDriver::Begin(Cycle& cycle) {
  const auto serving = callees_.models.FindServing(cycle.task);
  if (!serving) return serving.error();
  if (!serving->production) {
    return Error{ErrorCode::kFailedPrecondition,
                 "nothing serves task " + cycle.task + ": promote a first model"};
  }
  const ModelFacts& baseline = *serving->production;
  cycle.baseline_model_version_id = baseline.model_version_id;
  cycle.previous_dataset_version_id = baseline.dataset_version_id;
  if (cycle.previous_dataset_version_id.empty()) {
    const auto newest = callees_.samples.NewestDataset(cycle.task);
    if (!newest) return newest.error();
    if (newest->empty()) {
      return Error{ErrorCode::kFailedPrecondition,
                   "task " + cycle.task + " has no dataset version to build on"};
    }
    cycle.previous_dataset_version_id = *newest;
  }
  if (!cycle.trigger.alert_id.empty()) {
    const auto slice = callees_.traffic.FindSliceOf(cycle.trigger.alert_id);
    if (!slice && MayPass(slice.error().code)) return slice.error();
    if (slice) cycle.slice = *slice;  // An alert that is gone names none.
  }
  CycleState next = CycleState::kCollecting;
  if (cycle.labels_at_hand) next = CycleState::kBuilding;
  if (cycle.given_candidate) next = CycleState::kGating;
  Progress moves = Moves(next, "held against " + cycle.baseline_model_version_id);
  moves.details = {{"baseline", cycle.baseline_model_version_id},
                   {"previous_dataset_version", cycle.previous_dataset_version_id}};
  return moves;
}

// --- collecting

Result<std::vector<AcquisitionList>> CycleDriver::Offers(const Cycle& cycle,
                                                         const TaskPolicy& task) {
  auto lists = AcquisitionListsOf(task.cycle, cycle.slice);
  for (auto& list : lists) {
    RankQuestion question = QuestionOf(cycle, task);
    question.order = list.reason == "slice"     ? "uncertain"
                     : list.reason == "diverse" ? "random"
                                                : list.reason;
    question.slice = list.reason == "slice" ? cycle.slice : "";
    question.with_embeddings = list.reason == "diverse";
    const auto ranked = callees_.traffic.Rank(question);
    if (!ranked) return ranked.error();
    const auto captured =
        callees_.samples.FindCaptured(cycle.task, cycle.previous_dataset_version_id, *ranked);
    if (!captured) return captured.error();
    std::unordered_map<std::string, const CapturedSample*> by_name;
    std::unordered_map<std::string, const CapturedSample*> by_content;
    for (const auto& sample : *captured) {
      by_name.emplace(sample.name, &sample);
      by_content.emplace(sample.sha256, &sample);
    }
    for (const auto& prediction : *ranked) {
      auto found = by_name.find(prediction.Name());
      if (found == by_name.end()) {
        // The same picture came before, under another request.
        found = by_content.find(prediction.payload_sha256);
        if (found == by_content.end()) continue;
      }
      list.candidates.push_back({prediction, *found->second});
    }
  }
  return lists;
}

LabelBudget CycleDriver::Awaited(const Cycle& cycle, const TaskPolicy& task,
                                 std::vector<Decision>* decisions) const {
  LabelBudget budget = BudgetOf(task.cycle);
  const auto leave_out = [&](std::uint32_t* part, const std::string& split) {
    if (*part == 0) return;
    const std::string because = "no_" + split + "_split";
    decisions->push_back(
        {.id = NewUuid(),
         .task = cycle.task,
         .decided_at = clock_.Now(),
         .trigger = cycle.trigger.kind,
         .alert_id = cycle.trigger.alert_id,
         .event = "cycle " + cycle.id + "/" + because,
         .outcome = DecisionOutcome::kWentOn,
         .because = because,
         .reason = "the task's splits give no sample of traffic to the " + split + " split (" +
                   split + "_share is 0): collecting does not wait for the " + Count(*part) +
                   " that acquire_" + split + " asks for, their labels go to the others",
         .cycle_id = cycle.id,
         .actor = cycle.CycleActor()});
    *part = 0;
  };
  if (!task.has_test_split) leave_out(&budget.test, "test");
  if (!task.has_validation_split) leave_out(&budget.validation, "validation");
  return budget;
}

CycleDriver::Step CycleDriver::Collect(Cycle& cycle, const TaskPolicy& task) {
  const auto lists = Offers(cycle, task);
  if (!lists) return lists.error();
  const Choosable choosable = CountChoosable(*lists);
  const CyclePolicy& policy = task.cycle;
  std::vector<Decision> decisions;
  const LabelBudget budget = Awaited(cycle, task, &decisions);
  const bool enough = choosable.samples >= policy.collect_samples &&
                      choosable.test >= budget.test && choosable.validation >= budget.validation;
  const std::string held_out = Count(choosable.test) + " of " + Count(budget.test) +
                               " at random in the test split, " + Count(choosable.validation) +
                               " of " + Count(budget.validation) + " in the validation split";
  if (!enough && SecondsInStage(cycle) < policy.collect_seconds) {
    return Waits(Count(choosable.samples) + " of " + Count(policy.collect_samples) +
                 " samples are captured, " + held_out);
  }
  Progress moves = Moves(CycleState::kLabeling, "");
  moves.decisions = std::move(decisions);
  moves.chosen = Choose(*lists, budget);
  if (moves.chosen.empty()) {
    return IsDecided(CycleState::kRejected, "no sample of traffic could be collected within " +
                                                Text(policy.collect_seconds) +
                                                " s: see the task's capture policy");
  }
  cycle.acquired.clear();
  for (const auto& sample : moves.chosen) ++cycle.acquired[sample.reason];
  moves.words = Count(moves.chosen.size()) + " of " + Count(choosable.samples) + " samples chosen";
  if (!enough) {
    moves.words += ", after " + Text(policy.collect_seconds) + " s with " + held_out;
  }
  moves.details = {
      {"samples", Count(moves.chosen.size())},
      {"candidates", Count(choosable.samples)},
      {"test", Count(std::min<std::size_t>(choosable.test, budget.test))},
      {"validation", Count(std::min<std::size_t>(choosable.validation, budget.validation))}};
  for (const auto& [reason, samples] : cycle.acquired) moves.details[reason] = Count(samples);
  return moves;
}

// --- labeling

CycleDriver::Step CycleDriver::Label(Cycle& cycle, const TaskPolicy& task) {
  const CyclePolicy& policy = task.cycle;
  if (cycle.batch_id.empty()) {
    auto samples = store_.ListSamples(cycle.id);
    if (!samples) return samples.error();
    const auto batch = callees_.labels.Enqueue(
        {.batch_id = cycle.id + cycle.IdSuffix(),
         .task = cycle.task,
         .samples = *std::move(samples),
         .votes_per_sample = std::max(policy.votes_per_sample, 1U),
         .max_votes = policy.max_labels - ReviewedAtMost(policy) * kVotesOfReview});
    if (!batch) return batch.error();
    cycle.batch_id = cycle.id + cycle.IdSuffix();
    return GoesOn(Count(batch->items) + " samples wait for annotators");
  }
  const auto batch = callees_.labels.Find(cycle.batch_id);
  if (!batch) return batch.error();
  cycle.labels = batch->votes;
  const auto so_far = [&] {
    return Count(batch->answered) + " of " + Count(batch->items) + " samples labeled, " +
           Count(batch->votes) + " votes";
  };
  const std::map<std::string, std::string> details{{"batch", cycle.batch_id},
                                                   {"items", Count(batch->items)},
                                                   {"answered", Count(batch->answered)},
                                                   {"votes", Count(batch->votes)},
                                                   {"labels", Count(batch->labels)}};
  if (batch->state == "complete" || batch->items == 0) {
    Progress moves = Moves(CycleState::kBuilding, so_far());
    moves.details = details;
    return Review(cycle, task, std::move(moves));
  }
  const bool timed_out = SecondsInStage(cycle) >= policy.label_seconds;
  if (batch->state == "cancelled" && !timed_out) {
    return IsDecided(CycleState::kRejected, "the batch of labels was cancelled: " + so_far());
  }
  if (!timed_out) {
    Progress waits = Waits(so_far());
    waits.details = details;
    return waits;
  }
  if (batch->state != "cancelled") {
    const auto withdrawn =
        callees_.labels.Cancel(cycle.batch_id, "the cycle has waited long enough");
    // The last vote may have come just now.
    if (!withdrawn && withdrawn.error().code != ErrorCode::kFailedPrecondition) {
      return withdrawn.error();
    }
    return GoesOn(so_far() + ", the rest is withdrawn");
  }
  if (!batch->labels_are_made) return Waits(so_far() + "; labels are made of what there is");
  const std::uint32_t enough = std::max(task.gate.min_samples, 1U);
  if (batch->labels < enough) {
    return IsDecided(CycleState::kRejected, so_far() + " within " + Text(policy.label_seconds) +
                                                " s; " + Count(enough) + " labels are needed");
  }
  Progress moves = Moves(CycleState::kBuilding, so_far() + ", the rest was not waited for");
  moves.details = details;
  return moves;
}

CycleDriver::Step CycleDriver::Review(Cycle& cycle, const TaskPolicy& task, Progress moves) {
  if (ReviewedAtMost(task.cycle) == 0) return moves;
  const std::string batch_id = ReviewBatchOf(cycle);
  auto batch = callees_.labels.Find(batch_id);
  if (!batch && batch.error().code != ErrorCode::kNotFound) return batch.error();
  if (!batch) {
    auto doubtful = FindDoubtful(cycle, task);
    if (!doubtful) return doubtful.error();
    if (doubtful->empty()) {
      moves.words += "; none is doubtful";
      return moves;
    }
    batch = callees_.labels.Enqueue({.batch_id = batch_id,
                                     .task = cycle.task,
                                     .samples = *std::move(doubtful),
                                     .votes_per_sample = kVotesOfReview,
                                     .max_votes = ReviewedAtMost(task.cycle) * kVotesOfReview,
                                     .ask_again = true});
    if (!batch) return batch.error();
  }
  cycle.labels += batch->votes;
  const std::string so_far = moves.words + "; " + Count(batch->items) +
                             " doubtful ones are asked again: " + Count(batch->votes) +
                             " more votes";
  moves.details["reviewed"] = Count(batch->items);
  moves.details["review_votes"] = Count(batch->votes);
  moves.words = so_far;
  if (batch->state == "complete" || batch->items == 0) return moves;
  const bool timed_out = SecondsInStage(cycle) >= task.cycle.label_seconds;
  if (batch->state == "open" && timed_out) {
    const auto withdrawn = callees_.labels.Cancel(batch_id, "the cycle has waited long enough");
    if (!withdrawn && withdrawn.error().code != ErrorCode::kFailedPrecondition) {
      return withdrawn.error();
    }
    return GoesOn(so_far + ", the rest is withdrawn");
  }
  // A review that somebody cancelled leaves the labels that are there.
  if (batch->state == "cancelled" && batch->labels_are_made) return moves;
  Progress waits = Waits(so_far);
  waits.details = moves.details;
  return waits;
}

Result<std::vector<CycleSample>> CycleDriver::FindDoubtful(const Cycle& cycle,
                                                           const TaskPolicy& task) {
  const auto samples = store_.ListSamples(cycle.id);
  if (!samples) return samples.error();
  std::vector<std::string> ids;
  for (const auto& sample : *samples) ids.push_back(sample.sample_id);
  const auto labels = callees_.samples.LabelsOf(cycle.task, ids);
  if (!labels) return labels.error();
  RankQuestion question = QuestionOf(cycle, task);
  question.order = "random";
  question.with_embeddings = true;
  const auto ranked = callees_.traffic.Rank(question);
  if (!ranked) return ranked.error();
  std::unordered_map<std::string, const RankedPrediction*> by_name;
  for (const auto& prediction : *ranked) by_name.emplace(prediction.Name(), &prediction);
  std::vector<LabeledSample> labeled;
  for (const auto& sample : *samples) {
    const auto label = labels->find(sample.sample_id);
    const auto prediction =
        by_name.find(sample.request_id + "#" + std::to_string(sample.request_index));
    if (label == labels->end() || prediction == by_name.end()) continue;
    labeled.push_back({sample, label->second, prediction->second->embedding});
  }
  return DoubtfulLabels(labeled, ReviewedAtMost(task.cycle));
}

// --- building

CycleDriver::Step CycleDriver::Build(Cycle& cycle, const TaskPolicy& task) {
  const auto built =
      callees_.datasets.Build({.request_id = "cycle-" + cycle.id + cycle.IdSuffix(),
                               .task = cycle.task,
                               .previous_dataset_version_id = cycle.previous_dataset_version_id,
                               .new_sample_weight = task.cycle.new_sample_weight,
                               .description = "cycle " + cycle.id,
                               .actor = cycle.CycleActor()});
  if (!built) return built.error();
  const auto added = callees_.samples.CountNewItems(*built, cycle.previous_dataset_version_id);
  if (!added) return added.error();
  if (*added == 0) return IsDecided(CycleState::kRejected, "no new labels");
  cycle.dataset_version_id = *built;
  Progress moves = Moves(CycleState::kTraining, Count(*added) +
                                                    " items that the previous dataset "
                                                    "version does not hold");
  moves.details = {{"dataset_version", *built}, {"new_items", Count(*added)}};
  return moves;
}

// --- training

CycleDriver::Step CycleDriver::Train(Cycle& cycle, const TaskPolicy& task) {
  const CyclePolicy& policy = task.cycle;
  if (cycle.run_id.empty()) {
    const auto baseline = callees_.models.FindModelVersion(cycle.baseline_model_version_id);
    if (!baseline) return baseline.error();
    RunRequest request{.request_id = "cycle-" + cycle.id + cycle.IdSuffix(),
                       .dataset_version_id = cycle.dataset_version_id,
                       .recipe = policy.recipe,
                       .seed = policy.seed,
                       .hyperparameters = {},
                       .actor = cycle.CycleActor(),
                       .baseline = BaselinePackage{baseline->model_version_id, baseline->files}};
    if (policy.epochs > 0) request.hyperparameters.epochs = policy.epochs;
    const auto run = callees_.runs.Start(request);
    if (!run) return run.error();
    cycle.run_id = run->run.id;
    Progress goes_on = GoesOn("run " + run->run.id + " is queued");
    goes_on.details = {{"run", run->run.id}};
    return goes_on;
  }
  const auto run = callees_.runs.Find(cycle.run_id);
  if (!run) return run.error();
  switch (run->state) {
    case RunState::kQueued:
      return Waits("run " + run->id + " is queued");
    case RunState::kRunning: {
      const double spent =
          run->started_at ? std::chrono::duration<double>(clock_.Now() - *run->started_at).count() *
                                static_cast<double>(policy_.run_threads)
                          : 0;
      if (spent > policy.max_cpu_seconds) {
        cycle.cpu_seconds = spent;
        return IsDecided(CycleState::kRejected, "the run took more than the " +
                                                    Text(policy.max_cpu_seconds) +
                                                    " s of CPU time that the policy allows");
      }
      return Waits("run " + run->id + " is " +
                   (run->progress.phase.empty() ? "running" : run->progress.phase));
    }
    case RunState::kCancelled:
      return IsDecided(CycleState::kRejected, "run " + run->id + " was cancelled: " + run->reason);
    case RunState::kFailed:
      return Error{ErrorCode::kFailedPrecondition, "run " + run->id + " failed: " + run->reason};
    case RunState::kSucceeded:
      break;
  }
  if (run->model_version_id.empty()) {
    return Error{ErrorCode::kFailedPrecondition, "run " + run->id + " has no model version"};
  }
  cycle.candidate_model_version_id = run->model_version_id;
  cycle.cpu_seconds = run->cpu_seconds;
  Progress moves =
      Moves(CycleState::kGating, "run " + run->id + " made model version " + run->model_version_id);
  moves.details = {{"run", run->id},
                   {"model_version", run->model_version_id},
                   {"cpu_seconds", Text(run->cpu_seconds)}};
  return moves;
}

// --- gating

Result<std::vector<GateSample>> CycleDriver::GateSamplesOf(const Cycle& cycle,
                                                           const TaskPolicy& task) {
  if (!cycle.given_candidate) {
    return callees_.samples.GateSamples(cycle.run_id, cycle.previous_dataset_version_id,
                                        task.slice_keys);
  }
  const auto candidate = callees_.models.FindModelVersion(cycle.candidate_model_version_id);
  if (!candidate) return candidate.error();
  const auto baseline = callees_.models.FindModelVersion(cycle.baseline_model_version_id);
  if (!baseline) return baseline.error();
  // An uploaded model has no run: nothing is known of its answers.
  if (candidate->run_id.empty() || baseline->run_id.empty()) return std::vector<GateSample>();
  return callees_.samples.GateSamplesOf(candidate->run_id, baseline->run_id,
                                        cycle.previous_dataset_version_id, task.slice_keys);
}

CycleDriver::Step CycleDriver::Gate(Cycle& cycle, const TaskPolicy& task) {
  if (cycle.given_candidate) {
    const auto candidate = callees_.models.FindModelVersion(cycle.candidate_model_version_id);
    if (!candidate) return candidate.error();
    if (candidate->task != cycle.task) {
      return Error{ErrorCode::kFailedPrecondition,
                   "model version " + cycle.candidate_model_version_id + " is of task " +
                       candidate->task + ", not of " + cycle.task};
    }
    cycle.run_id = candidate->run_id;
    cycle.dataset_version_id = candidate->dataset_version_id;
    if (candidate->model_version_id == cycle.baseline_model_version_id) {
      return IsDecided(CycleState::kRejected, "the candidate serves already");
    }
  }
  const auto samples = GateSamplesOf(cycle, task);
  if (!samples) return samples.error();
  std::vector<TestResult> tests;
  if (!cycle.run_id.empty()) {
    const auto run = callees_.runs.Find(cycle.run_id);
    if (!run && run.error().code != ErrorCode::kNotFound) return run.error();
    if (run) tests = run->tests;
  }
  cycle.criteria = EvaluateCandidate(task.gate, *samples, tests);
  for (const auto& criterion : cycle.criteria) {
    if (criterion.name != "better_on_new" && criterion.name != "slice.new") continue;
    cycle.gain = criterion.difference;
    cycle.gain_low = criterion.low;
    cycle.gain_high = criterion.high;
  }
  const std::string evaluation_id = "cycle-" + cycle.id + cycle.IdSuffix();
  const auto verdict =
      callees_.models.RecordGate({.evaluation_id = evaluation_id,
                                  .model_version_id = cycle.candidate_model_version_id,
                                  .baseline_model_version_id = cycle.baseline_model_version_id,
                                  .dataset_version_id = cycle.dataset_version_id,
                                  .criteria = cycle.criteria,
                                  .actor = cycle.CycleActor()});
  if (!verdict) return verdict.error();
  cycle.gate_evaluation_id = evaluation_id;

  std::string failed;
  for (const auto& criterion : cycle.criteria) {
    if (criterion.verdict == GateVerdict::kPass) continue;
    failed += (failed.empty() ? "" : "; ") + criterion.name + ": " + criterion.reason;
  }
  const std::string word(Name(*verdict));
  if (*verdict != GateVerdict::kPass && cycle.override_reason.empty()) {
    return IsDecided(CycleState::kRejected, "the gate says " + word + ": " + failed);
  }
  Progress moves = Moves(AfterGate(task), *verdict == GateVerdict::kPass
                                              ? "the gate says pass"
                                              : "the gate says " + word + " (" + failed +
                                                    "), overridden: " + cycle.override_reason);
  moves.details = {{"verdict", word}, {"samples", Count(samples->size())}};
  if (cycle.gain) moves.details["gain"] = Text(*cycle.gain);
  return moves;
}

CycleState CycleDriver::AfterGate(const TaskPolicy& task) {
  return task.cycle.sign_off_roles.empty() ? AfterSignOff(task) : CycleState::kAwaitingSignOff;
}

CycleState CycleDriver::AfterSignOff(const TaskPolicy& task) {
  return task.cycle.rollout.shadow_predictions > 0 ? CycleState::kShadow : CycleState::kCanary;
}

CycleDriver::Step CycleDriver::AwaitSignOff(Cycle& cycle, const TaskPolicy& task) {
  const auto signatures = callees_.models.FindSignOffs(cycle.candidate_model_version_id);
  if (!signatures) return signatures.error();
  if (!signatures->refused_by.empty()) {
    return IsDecided(CycleState::kRejected, "refused by " + signatures->refused_by);
  }
  if (!signatures->missing_roles.empty()) {
    std::string roles;
    for (const auto& role : signatures->missing_roles) roles += (roles.empty() ? "" : ", ") + role;
    return Waits("waits for the signature of " + roles);
  }
  return Moves(AfterSignOff(task), "signed by every role that must");
}

// --- shadow, canary, promotion

Result<std::optional<CycleDriver::Progress>> CycleDriver::BaselineMoved(const Cycle& cycle) {
  const auto serving = callees_.models.FindServing(cycle.task);
  if (!serving) return serving.error();
  const std::string now = serving->production ? serving->production->model_version_id : "";
  if (now == cycle.baseline_model_version_id) return std::optional<Progress>();
  if (now == cycle.candidate_model_version_id) {
    // Promoted by a step that could not be saved, or by a person.
    return std::optional(
        IsDecided(CycleState::kPromoted, "model version " + now + " serves " + cycle.task));
  }
  return std::optional(IsDecided(CycleState::kRejected, "model version " + now +
                                                            " serves by now, and the candidate was "
                                                            "not held against it"));
}

Result<ComparisonFacts> CycleDriver::Compare(Cycle& cycle, const TaskPolicy& task,
                                             const std::string& stage, double share) {
  const RolloutPolicy& rollout = task.cycle.rollout;
  const bool canary = stage == "canary";
  if (cycle.comparison_id.empty()) {
    const std::string id = cycle.id + cycle.IdSuffix() + "-" + stage +
                           (canary ? "-" + Count(cycle.share_number + 1) : "");
    const auto looks = static_cast<double>(std::max<std::size_t>(rollout.canary_shares.size(), 1));
    const auto started = callees_.traffic.StartComparison(
        {.comparison_id = id,
         .task = cycle.task,
         .candidate_model_version_id = cycle.candidate_model_version_id,
         .baseline_model_version_id = cycle.baseline_model_version_id,
         .stage = stage,
         .alpha = canary ? rollout.alpha / looks : rollout.alpha,
         .max_accuracy_loss = rollout.max_accuracy_loss,
         .max_error_increase = rollout.max_error_increase,
         .max_latency_ratio = rollout.max_latency_ratio,
         .max_disagreement = rollout.max_shadow_disagreement});
    if (!started) return started.error();
    const auto set =
        callees_.models.SetRollout({.model_version_id = cycle.candidate_model_version_id,
                                    .stage = stage,
                                    .share = share,
                                    .actor = cycle.CycleActor(),
                                    .reason = "cycle " + cycle.id,
                                    .override_reason = cycle.override_reason});
    if (!set) return set.error();
    cycle.comparison_id = id;
  }
  return callees_.traffic.FindComparison(cycle.comparison_id);
}

CycleDriver::Step CycleDriver::Shadow(Cycle& cycle, const TaskPolicy& task) {
  const auto moved = BaselineMoved(cycle);
  if (!moved) return moved.error();
  if (*moved) return **moved;
  if (!cycle.has_traffic) {
    // Kept before the first call, so that whoever ends the cycle knows that there is something to
    // take back.
    cycle.has_traffic = true;
    return GoesOn("gives the candidate copies of the requests");
  }
  const auto facts = Compare(cycle, task, "shadow", 0);
  if (!facts) return facts.error();
  const RolloutPolicy& rollout = task.cycle.rollout;
  const double disagreement = ShareUnlike(*facts);
  const std::string so_far = Count(facts->candidate_predictions) + " of " +
                             Count(rollout.shadow_predictions) + " shadow answers, " +
                             Text(100 * disagreement) + " % unlike production's";
  std::map<std::string, std::string> details{{"predictions", Count(facts->candidate_predictions)},
                                             {"disagreement", Text(disagreement)},
                                             {"errors", Count(facts->candidate_errors)},
                                             {"verdict", facts->verdict}};
  if (facts->candidate_predictions < rollout.shadow_predictions && facts->verdict != "harmful") {
    if (SecondsInStage(cycle) >= rollout.step_seconds) {
      return IsDecided(CycleState::kRejected,
                       so_far + " within " + Text(rollout.step_seconds) + " s");
    }
    Progress waits = Waits(so_far);
    waits.details = std::move(details);
    return waits;
  }
  Progress done = Moves(CycleState::kCanary, so_far);
  if (facts->verdict == "harmful") {
    done = IsDecided(CycleState::kRejected, so_far + "; harmful: " + facts->reason);
  } else if (disagreement > rollout.max_shadow_disagreement) {
    done = IsDecided(
        CycleState::kRejected,
        so_far + "; at most " + Text(100 * rollout.max_shadow_disagreement) + " % may be");
  }
  done.details = std::move(details);
  return done;
}

CycleDriver::Step CycleDriver::Canary(Cycle& cycle, const TaskPolicy& task) {
  const auto moved = BaselineMoved(cycle);
  if (!moved) return moved.error();
  if (*moved) return **moved;
  if (!cycle.has_traffic) {
    cycle.has_traffic = true;
    return GoesOn("gives the candidate a share of the requests");
  }
  const RolloutPolicy& rollout = task.cycle.rollout;
  if (cycle.share_number >= rollout.canary_shares.size()) return Promote(cycle);

  const double share = rollout.canary_shares[cycle.share_number];
  const auto facts = Compare(cycle, task, "canary", share);
  if (!facts) return facts.error();
  const std::string so_far = Count(facts->candidate_predictions) + " of " +
                             Count(rollout.canary_predictions) + " answers at a share of " +
                             Text(share) + ", " + Count(facts->candidate_outcomes) + " outcomes";
  auto details = DetailsOf(*facts);
  details["share"] = Text(share);

  if (facts->verdict == "harmful") {
    cycle.harmed_requests += Harmed(*facts);
    details["harmed_requests"] = Count(cycle.harmed_requests);
    Progress harmful = IsDecided(CycleState::kRolledBack,
                                 "harmful at a share of " + Text(share) + ": " + facts->reason +
                                     "; " + Count(cycle.harmed_requests) + " requests were harmed");
    harmful.details = std::move(details);
    return harmful;
  }
  const bool timed_out = SecondsInStage(cycle) >= rollout.step_seconds;
  std::string waits_for;
  if (facts->candidate_predictions < rollout.canary_predictions) {
    if (timed_out) {
      cycle.harmed_requests += Harmed(*facts);
      Progress gives_up = IsDecided(CycleState::kRolledBack, "gives up: " + so_far + " within " +
                                                                 Text(rollout.step_seconds) + " s");
      gives_up.details = std::move(details);
      return gives_up;
    }
    waits_for = so_far;
  } else if (facts->verdict != "harmless" && rollout.max_accuracy_loss > 0 &&
             facts->accuracy_difference &&
             -*facts->accuracy_difference > rollout.max_accuracy_loss) {
    // Not surely harmful, and it looks it: more answers tell, and without them it does not pass.
    const std::string looks = "it looks worse than is allowed, by " +
                              Text(-*facts->accuracy_difference) + " in accuracy where " +
                              Text(rollout.max_accuracy_loss) + " is";
    if (timed_out) {
      cycle.harmed_requests += Harmed(*facts);
      Progress gives_up = IsDecided(CycleState::kRolledBack, "not shown to be harmless within " +
                                                                 Text(rollout.step_seconds) +
                                                                 " s: " + so_far + "; " + looks);
      gives_up.details = std::move(details);
      return gives_up;
    }
    waits_for = so_far + "; " + looks;
  } else if (facts->verdict != "harmless" && !timed_out) {
    // Where outcomes come at all they are waited for: half of what production's come to.
    const auto known =
        callees_.traffic.ShareWithOutcome(cycle.task, cycle.baseline_model_version_id);
    if (!known) return known.error();
    const auto wanted = static_cast<std::uint64_t>(
        std::floor(0.5 * *known * static_cast<double>(rollout.canary_predictions)));
    if (facts->candidate_outcomes < wanted) {
      waits_for = so_far + "; waits for " + Count(wanted) + " outcomes";
    }
  }
  if (!waits_for.empty()) {
    Progress waits = Waits(waits_for);
    waits.details = std::move(details);
    return waits;
  }
  cycle.harmed_requests += Harmed(*facts);
  ++cycle.share_number;
  Progress done = Moves(CycleState::kCanary, so_far + ", " + facts->verdict);
  done.details = std::move(details);
  return done;
}

CycleDriver::Step CycleDriver::Promote(Cycle& cycle) {
  const auto promoted = callees_.models.Promote(cycle.candidate_model_version_id,
                                                cycle.CycleActor(), cycle.override_reason);
  if (!promoted) {
    // Below a bar of the task's that only the registry looks at.
    if (promoted.error().code == ErrorCode::kFailedPrecondition) {
      return IsDecided(CycleState::kRejected,
                       "the promotion was refused: " + promoted.error().message);
    }
    return promoted.error();
  }
  return IsDecided(CycleState::kPromoted,
                   "model version " + cycle.candidate_model_version_id + " serves " + cycle.task);
}

// --- the ends

CycleDriver::Step CycleDriver::TakeBack(Cycle& cycle) {
  const auto gone = [](const Result<void>& done) {
    return done.ok() || done.error().code == ErrorCode::kNotFound ||
           done.error().code == ErrorCode::kFailedPrecondition;
  };
  // Traffic first: somebody may be waiting for an answer.
  if (cycle.has_traffic) {
    const auto cleared = callees_.models.ClearRollout(
        cycle.task, cycle.candidate_model_version_id, cycle.CycleActor(),
        "cycle " + cycle.id + ": " + cycle.ending_reason.substr(0, 500));
    if (!gone(cleared)) return Waits("takes its traffic back: " + cleared.error().message);
    cycle.has_traffic = false;
  }
  const bool with_result = *cycle.ending == CycleState::kPromoted;
  if (!cycle.batch_id.empty() && cycle.state == CycleState::kLabeling && !with_result) {
    const auto cancelled =
        callees_.labels.Cancel(cycle.batch_id, cycle.ending_reason.substr(0, 200));
    if (!gone(cancelled)) return Waits("takes its leases back: " + cancelled.error().message);
    const auto review =
        callees_.labels.Cancel(ReviewBatchOf(cycle), cycle.ending_reason.substr(0, 200));
    if (!gone(review)) return Waits("takes its leases back: " + review.error().message);
  }
  if (!cycle.run_id.empty() && cycle.state == CycleState::kTraining) {
    const auto run = callees_.runs.Find(cycle.run_id);
    if (!run && run.error().code != ErrorCode::kNotFound) {
      return Waits("stops its run: " + run.error().message);
    }
    if (run && !HasEnded(run->state)) {
      const auto cancelled = callees_.runs.Cancel(cycle.run_id, cycle.ending_reason);
      if (!cancelled && !gone(Result<void>(cancelled.error()))) {
        return Waits("stops its run: " + cancelled.error().message);
      }
      if (cancelled && !HasEnded(cancelled->state)) return Waits("its run is being stopped");
    }
    if (run && HasEnded(run->state)) {
      cycle.cpu_seconds = std::max(cycle.cpu_seconds, run->cpu_seconds);
    }
  }
  return Moves(*cycle.ending, cycle.ending_reason);
}

}  // namespace tidewheel::training
