#include "tidewheel/inference/core/scheduler.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <utility>

#include "tidewheel/inference/core/admission.h"
#include "tidewheel/inference/core/batch_tensors.h"

namespace tidewheel::inference {
namespace {

using std::chrono::nanoseconds;

constexpr std::uint32_t kMostInstances = 64;
// Batches of more rows are counted as if they had so many.
constexpr std::size_t kMostCountedSize = 4'096;

SteadyTime Now() { return std::chrono::steady_clock::now(); }

/// Written by one thread at a time, read by any: no instruction that locks.
void Raise(std::atomic<std::uint64_t>& sum, std::uint64_t by) {
  sum.store(sum.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}
std::uint64_t Count(nanoseconds time) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
}

struct Sum {
  std::atomic<std::uint64_t> count{0};
  std::atomic<std::uint64_t> nanoseconds{0};

  void Add(std::uint64_t times, std::chrono::nanoseconds each) {
    Raise(count, times);
    Raise(nanoseconds, times * Count(each));
  }
  void AddTo(DurationSum& sum) const {
    sum.count += count.load(std::memory_order_relaxed);
    sum.nanoseconds += nanoseconds.load(std::memory_order_relaxed);
  }
};

constexpr auto kBounds = [] {
  std::array<std::int64_t, PhaseHistogram::kBounds.size()> bounds{};
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    bounds[i] = static_cast<std::int64_t>(PhaseHistogram::kBounds[i] * 1e9 + 0.5);
  }
  return bounds;
}();

struct Buckets {
  std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> counts{};
  std::atomic<std::uint64_t> nanoseconds{0};

  void Add(std::uint64_t times, std::chrono::nanoseconds each) {
    const auto at = std::lower_bound(kBounds.begin(), kBounds.end(), each.count());
    Raise(counts[static_cast<std::size_t>(at - kBounds.begin())], times);
    Raise(nanoseconds, times * Count(each));
  }
  void AddTo(PhaseHistogram& histogram) const {
    for (std::size_t i = 0; i < counts.size(); ++i) {
      histogram.counts[i] += counts[i].load(std::memory_order_relaxed);
    }
    histogram.sum_seconds +=
        static_cast<double>(nanoseconds.load(std::memory_order_relaxed)) * 1e-9;
  }
};

struct SizeSums {
  Sum input{};
  Sum infer{};
  Sum output{};
};

SteadyTime SteadyDeadline(const InferRequest& request, SteadyTime now) {
  if (!request.deadline) return SteadyTime::max();
  const auto left = *request.deadline - std::chrono::system_clock::now();
  // A deadline in another age is none, rather than a sum that overflows.
  if (left > std::chrono::hours{24 * 365}) return SteadyTime::max();
  if (left < std::chrono::hours{-1}) return now - std::chrono::hours{1};
  return now + left;
}

std::size_t BytesOf(const InferRequest& request) {
  std::size_t bytes = 0;
  for (const Tensor& input : request.inputs) bytes += input.data.size();
  return bytes;
}

bool ShapesVary(const ModelSpec& spec) {
  for (const TensorSpec& input : spec.inputs) {
    for (std::size_t i = 1; i < input.shape.size(); ++i) {
      if (input.shape[i] < 0) return true;
    }
  }
  return false;
}

/// Whether the first size of every input is the batch.
bool HasRows(const ModelSpec& spec) {
  for (const TensorSpec& input : spec.inputs) {
    if (input.shape.empty() || input.shape.front() >= 0) return false;
  }
  return !spec.inputs.empty();
}

Parameters AnswerParameters(const ModelSpec& spec) {
  Parameters parameters;
  const auto variant = spec.properties.find("variant");
  if (variant != spec.properties.end()) parameters["variant"] = variant->second;
  return parameters;
}

/// Rows that requests are put together to at most. Whoever asks for sizes or waits for them gets
/// them; else no more than the model computes in one pass.
std::size_t GatheredRows(const Executor& executor, const SchedulerOptions& options) {
  const std::size_t most = std::max<std::size_t>(options.max_batch_size, 1);
  const std::size_t pass = executor.rows_of_a_pass();
  const bool asked = !options.batching.preferred_batch_sizes.empty() ||
                     options.batching.max_queue_delay.count() > 0;
  return pass == 0 || asked ? most : std::min(most, pass);
}

ModelSpec ServedSpec(const Executor& executor, const SchedulerOptions& options) {
  ModelSpec spec = options.spec ? *options.spec : executor.spec();
  spec.max_batch_size = options.max_batch_size;
  return spec;
}

void PinThread(const std::vector<int>& cpus) {
  if (cpus.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) {
    if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_SET(static_cast<std::size_t>(cpu), &set);
  }
  // CPUs that are not there are a wish that cannot be met, not a reason not to serve.
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

}  // namespace

/// Leave to run one call. Who holds it is the only writer of what it counts.
struct alignas(64) Scheduler::Slot {
  std::uint64_t bit = 0;
  std::atomic<std::int64_t> ends{0};  // When the call under way should be done; 0: none is.
  std::vector<AlignedBytes> memory{};

  std::atomic<std::uint64_t> rows{0};
  std::atomic<std::uint64_t> batches{0};
  std::atomic<std::uint64_t> inline_batches{0};
  std::atomic<std::int64_t> last{0};  // Steady nanoseconds; 0: never.
  std::array<std::atomic<std::uint64_t>, kBatchReasons> reasons{};
  Sum success{}, fail{}, queue{}, input{}, infer{}, output{};
  Buckets queue_buckets{}, input_buckets{}, infer_buckets{}, output_buckets{};
  std::vector<SizeSums> sizes{};
};

/// What one turn of a thread is about; kept for its memory.
struct Scheduler::Turnover {
  std::vector<std::unique_ptr<QueuedRequest>> batch{};
  std::vector<RefusedRequest> refused{};
  std::vector<std::unique_ptr<QueuedRequest>> cancelled{};
  std::vector<const InferRequest*> requests{};
  std::vector<std::size_t> rows{};
  std::vector<Result<InferResponse>> answers{};
};

/// Gives answers away in the order in which their requests were accepted.
struct Scheduler::OrderedAnswers {
  struct Waiting {
    ModelServer::Answered answered;
    Result<InferResponse> answer;
  };
  std::mutex mutex;  // Guards the rest.
  std::uint64_t next = 0;
  std::map<std::uint64_t, Waiting> waiting;
  bool giving = false;

  /// Says how many requests were answered by this call.
  std::int64_t Give(std::uint64_t ticket, ModelServer::Answered answered,
                    Result<InferResponse> answer) {
    std::unique_lock lock(mutex);
    waiting.emplace(ticket, Waiting{std::move(answered), std::move(answer)});
    // Whoever gives at the moment finds it; two at a time would lose the order.
    if (giving) return 0;
    giving = true;
    std::int64_t given = 0;
    while (!waiting.empty() && waiting.begin()->first == next) {
      auto node = waiting.extract(waiting.begin());
      ++next;
      lock.unlock();
      node.mapped().answered(std::move(node.mapped().answer));
      ++given;
      lock.lock();
    }
    giving = false;
    return given;
  }
};

Scheduler::Scheduler(std::unique_ptr<Executor> executor, SchedulerOptions options)
    : options_(std::move(options)),
      executor_(std::move(executor)),
      spec_(ServedSpec(*executor_, options_)),
      answer_parameters_(AnswerParameters(spec_)),
      most_rows_(std::max<std::size_t>(options_.max_batch_size, 1)),
      gathered_rows_(GatheredRows(*executor_, options_)),
      batches_(options_.max_batch_size > 1 && options_.batching.enabled && HasRows(spec_)),
      may_run_inline_(options_.inline_limit.count() > 0 && !options_.batching.preserve_ordering &&
                      (!batches_ || options_.batching.max_queue_delay.count() == 0)),
      free_slots_(0),
      ordered_(options_.batching.preserve_ordering ? std::make_unique<OrderedAnswers>() : nullptr),
      queue_(options_.batching, {.most_rows = gathered_rows_,
                                 .batches = batches_,
                                 .shapes_vary = ShapesVary(spec_),
                                 .most_requests = options_.most_queued,
                                 .most_bytes = options_.most_queued_bytes}) {
  const std::uint32_t instances = std::clamp<std::uint32_t>(options_.instances, 1, kMostInstances);
  std::uint64_t all = 0;
  for (std::uint32_t i = 0; i < instances; ++i) {
    auto slot = std::make_unique<Slot>();
    slot->bit = std::uint64_t{1} << i;
    slot->sizes = std::vector<SizeSums>(std::min(most_rows_, kMostCountedSize) + 1);
    all |= slot->bit;
    slots_.push_back(std::move(slot));
  }
  free_slots_.store(all);
  for (std::uint32_t i = 0; i < instances; ++i) {
    workers_.push_back(std::make_unique<Worker>("model-" + std::to_string(i),
                                                [this, i](const std::stop_token&) { Work(i); }));
  }
}

Scheduler::~Scheduler() {
  Drain();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  workers_.clear();
}

Scheduler::Slot* Scheduler::TakeSlot() {
  std::uint64_t free = free_slots_.load();
  while (free != 0) {
    const std::uint64_t bit = free & (~free + 1);
    if (free_slots_.compare_exchange_weak(free, free & ~bit)) {
      return slots_[static_cast<std::size_t>(std::countr_zero(bit))].get();
    }
  }
  return nullptr;
}

void Scheduler::GiveSlotBack(Slot& slot) {
  slot.ends.store(0, std::memory_order_relaxed);
  free_slots_.fetch_or(slot.bit);
}

// Called after a slot became free or a request came. A thread goes to sleep in this order: it
// counts itself in sleeping_, looks for work and a slot, waits; so either it sees what happened
// before, or it is seen here.
void Scheduler::WakeOne() {
  if (sleeping_.load() == 0 || queued_.load() == 0) return;
  { const std::lock_guard lock(mutex_); }
  wake_.notify_one();
}

Result<void> Scheduler::CheckHope(const QueuedRequest& request, SteadyTime now) const {
  const std::uint32_t level = queue_.LevelOf(request.request.priority);
  Urgency urgency{
      .rows = request.rows, .deadline = request.deadline, .budget = options_.queue_budget};
  if (urgency.budget.count() > 0 && options_.queue_calls > 0) {
    urgency.budget = std::max(urgency.budget, cost_.Of(batches_ ? most_rows_ : 1) *
                                                  static_cast<std::int64_t>(options_.queue_calls));
  }
  if (!queue_.PolicyOf(level).delays_on_timeout) {
    urgency.timeout = queue_.TimeoutOf(request.request, level, now);
  }
  Backlog backlog{.rows = queue_.RowsBefore(level),
                  .instances = slots_.size(),
                  .most_rows = batches_ ? gathered_rows_ : 1};
  const std::int64_t at = now.time_since_epoch().count();
  std::size_t busy = 0;
  for (const auto& slot : slots_) {
    const std::int64_t ends = slot->ends.load(std::memory_order_relaxed);
    if (ends == 0) continue;
    ++busy;
    if (ends > at) backlog.running += nanoseconds{ends - at};
  }
  backlog.idle = backlog.rows == 0 && busy < slots_.size();
  return CheckInTime(spec_.name, backlog, cost_, urgency, now);
}

void Scheduler::Refuse(ModelServer::Answered& answered, Refusal kind, Error error) {
  auto& count = kind == Refusal::kFull      ? refused_
                : kind == Refusal::kExpired ? expired_
                                            : cancelled_;
  count.fetch_add(1, std::memory_order_relaxed);
  answered(std::move(error));
}

bool Scheduler::Submit(InferRequest& request, ModelServer::Answered& answered) {
  // Counted until this returns: Drain then knows that nobody is in here.
  held_.fetch_add(1);
  if (draining_.load()) {
    held_.fetch_sub(1);
    return false;
  }
  const std::size_t rows =
      options_.max_batch_size == 0 || request.inputs.empty() || request.inputs[0].shape.empty()
          ? 1
          : static_cast<std::size_t>(std::max<std::int64_t>(request.inputs[0].shape[0], 1));

  const nanoseconds cost = may_run_inline_ ? cost_.Of(rows) : nanoseconds{0};
  const bool cheap = cost.count() > 0 && cost <= options_.inline_limit;
  const bool alone = request.came_with <= 1 ||
                     cost * static_cast<std::int64_t>(request.came_with) <= options_.together_limit;
  if (cheap && alone && queued_.load() == 0) {
    if (Slot* const slot = TakeSlot()) {
      const SteadyTime start = Now();
      RunInline(*slot, request, answered, rows, start);
      Lead(start);
      held_.fetch_sub(1);
      return true;
    }
  }

  const SteadyTime now = Now();
  auto queued = std::make_unique<QueuedRequest>();
  queued->rows = rows;
  queued->bytes = BytesOf(request);
  queued->deadline = SteadyDeadline(request, now);
  queued->request = std::move(request);
  queued->answered = std::move(answered);
  if (queued->deadline <= now) {
    Refuse(queued->answered, Refusal::kExpired,
           {ErrorCode::kDeadlineExceeded, "the deadline passed before the request was queued"});
    held_.fetch_sub(1);
    return true;
  }

  Result<void> accepted;
  std::vector<RefusedRequest> late;
  bool wake = false;
  bool lead = false;
  {
    const std::lock_guard lock(mutex_);
    accepted = CheckHope(*queued, now);
    const bool may_hurry = queued->deadline != SteadyTime::max();
    if (accepted) accepted = queue_.Add(queued, now, late);
    if (accepted) held_.fetch_add(1);
    queued_.store(queue_.size());
    if (accepted && free_slots_.load() != 0) {
      const bool worth_it = options_.batching.max_queue_delay.count() == 0 || may_hurry ||
                            queue_.size() == 1 || queue_.IsWantedSize(queue_.rows());
      wake = worth_it && sleeping_.load() > 0;
      lead = worth_it && !wake && cheap && alone;
    }
  }
  if (wake) wake_.notify_one();
  if (!accepted) Refuse(queued->answered, Refusal::kFull, accepted.error());
  AnswerRefused(late);
  if (lead) Lead(now);
  held_.fetch_sub(1);
  return true;
}

void Scheduler::RunInline(Slot& slot, InferRequest& request, ModelServer::Answered& answered,
                          std::size_t rows, SteadyTime start) {
  const bool late = request.deadline && SteadyDeadline(request, start) <= start;
  if (late || (request.cancelled && request.cancelled())) {
    GiveSlotBack(slot);
    if (late) {
      Refuse(answered, Refusal::kExpired,
             {ErrorCode::kDeadlineExceeded, "the deadline passed before the request was run"});
    } else {
      Refuse(answered, Refusal::kCancelled, {ErrorCode::kCancelled, "the request was cancelled"});
    }
    return;
  }
  SteadyTime end;
  auto outputs = Call(slot, request.inputs, rows, start, end);
  const nanoseconds queue = start - request.arrived;
  const nanoseconds infer = end - start;
  Raise(slot.inline_batches, 1);
  Raise(slot.reasons[static_cast<std::size_t>(BatchReason::kIdle)], 1);
  if (!outputs) {
    slot.fail.Add(1, queue + infer);
    GiveSlotBack(slot);
    answered(outputs.error());
    return;
  }
  slot.success.Add(1, queue + infer);
  slot.queue.Add(1, queue);
  slot.input.Add(1, {});
  slot.infer.Add(1, infer);
  slot.output.Add(1, {});
  SizeSums& size = slot.sizes[std::min(rows, slot.sizes.size() - 1)];
  size.input.Add(1, {});
  size.infer.Add(1, infer);
  size.output.Add(1, {});
  if (options_.histograms) {
    slot.queue_buckets.Add(1, queue);
    slot.input_buckets.Add(1, {});
    slot.infer_buckets.Add(1, infer);
    slot.output_buckets.Add(1, {});
  }
  GiveSlotBack(slot);
  answered(ResponseTo(request, std::move(*outputs), rows, {.queue = queue, .infer = infer}));
}

// A caller's thread that ran a call goes on with what came meanwhile, so that no thread has to be
// woken for it, but only for a little while: it has its own connections to look after.
void Scheduler::Lead(SteadyTime began) {
  if (queued_.load() == 0) return;
  Turnover turnover;
  while (queued_.load() > 0) {
    const SteadyTime now = Now();
    const nanoseconds cost = cost_.Of(std::min(queued_.load(), gathered_rows_));
    const nanoseconds spent = now - began;
    if (cost.count() == 0 || spent + cost > options_.inline_turn) {
      WakeOne();
      return;
    }
    // Who has the slot comes here after it, or is a thread of ours that looks at the queue again.
    Slot* const slot = TakeSlot();
    if (slot == nullptr) return;
    BatchQueue::Turn turn;
    {
      const std::lock_guard lock(mutex_);
      turn = queue_.Next(now, cost_.Of(gathered_rows_), turnover.batch, turnover.refused);
      queued_.store(queue_.size());
    }
    Serve(*slot, turn.reason, true, turnover);
  }
}

void Scheduler::Work(std::size_t index) {
  if (!options_.cpus.empty()) PinThread(options_.cpus[index % options_.cpus.size()]);
  Turnover turnover;
  std::unique_lock lock(mutex_);
  while (true) {
    sleeping_.fetch_add(1);
    Slot* slot = nullptr;
    while (queue_.size() == 0 || (slot = TakeSlot()) == nullptr) {
      if (stopping_ && queue_.size() == 0) {
        sleeping_.fetch_sub(1);
        return;
      }
      wake_.wait(lock);
    }
    const auto turn =
        queue_.Next(Now(), cost_.Of(gathered_rows_), turnover.batch, turnover.refused);
    queued_.store(queue_.size());
    if (turn.kind == BatchQueue::Turn::Kind::kWait && turnover.refused.empty()) {
      GiveSlotBack(*slot);
      wake_.wait_until(lock, turn.until);
      sleeping_.fetch_sub(1);
      continue;
    }
    sleeping_.fetch_sub(1);
    // More than this batch waits and another slot is free: another thread can have it.
    const bool more = queue_.size() > 0 && turn.kind == BatchQueue::Turn::Kind::kBatch &&
                      free_slots_.load() != 0 && sleeping_.load() > 0;
    lock.unlock();
    if (more) wake_.notify_one();
    Serve(*slot, turn.reason, false, turnover);
    lock.lock();
  }
}

void Scheduler::LeaveOutCancelled(Turnover& turnover) {
  // Twice: those who came in their places may be cancelled as well.
  auto& batch = turnover.batch;
  for (int round = 0; round < 2; ++round) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (batch[i]->request.cancelled && batch[i]->request.cancelled()) {
        turnover.cancelled.push_back(std::move(batch[i]));
      } else {
        if (kept != i) batch[kept] = std::move(batch[i]);
        ++kept;
      }
    }
    if (kept == batch.size()) return;
    batch.resize(kept);
    if (round == 1 || batch.empty()) return;
    const std::lock_guard lock(mutex_);
    queue_.TopUp(Now(), batch, turnover.refused);
    queued_.store(queue_.size());
  }
}

void Scheduler::AnswerRefused(std::vector<RefusedRequest>& refused) {
  for (RefusedRequest& one : refused) {
    expired_.fetch_add(1, std::memory_order_relaxed);
    Deliver(*one.request, std::move(one.error));
  }
  refused.clear();
}

void Scheduler::Deliver(QueuedRequest& request, Result<InferResponse> answer) {
  std::int64_t given = 1;
  if (ordered_ != nullptr) {
    given = ordered_->Give(request.ticket, std::move(request.answered), std::move(answer));
  } else {
    request.answered(std::move(answer));
    // What the caller's function keeps alive goes before Drain may return.
    request.answered = nullptr;
  }
  if (given == 0) return;
  if (held_.fetch_sub(given) == given && draining_.load()) answered_some_.notify_all();
}

void Scheduler::Serve(Slot& slot, BatchReason reason, bool inline_run, Turnover& turnover) {
  LeaveOutCancelled(turnover);
  turnover.answers.clear();
  if (!turnover.batch.empty()) RunBatch(slot, reason, inline_run, turnover);
  GiveSlotBack(slot);
  // Another thread can use the slot while this one gives answers; for one answer it is not worth
  // waking it.
  if (slots_.size() > 1 || turnover.batch.size() > 1) WakeOne();

  for (std::size_t i = 0; i < turnover.batch.size(); ++i) {
    Deliver(*turnover.batch[i], std::move(turnover.answers[i]));
  }
  turnover.batch.clear();
  for (const auto& queued : turnover.cancelled) {
    cancelled_.fetch_add(1, std::memory_order_relaxed);
    Deliver(*queued, Error{ErrorCode::kCancelled, "the request was cancelled"});
  }
  turnover.cancelled.clear();
  AnswerRefused(turnover.refused);
}

Result<std::vector<Tensor>> Scheduler::Call(Slot& slot, std::span<const Tensor> inputs,
                                            std::size_t rows, SteadyTime start, SteadyTime& end) {
  slot.ends.store((start + cost_.Of(rows)).time_since_epoch().count(), std::memory_order_relaxed);
  auto outputs = executor_->Execute(inputs);
  end = Now();
  if (outputs && outputs->size() != spec_.outputs.size()) {
    outputs = Error{ErrorCode::kInternal, "model \"" + spec_.name + "\" answered " +
                                              std::to_string(outputs->size()) + " of its " +
                                              std::to_string(spec_.outputs.size()) + " outputs"};
  }
  if (outputs) cost_.Add(rows, end - start);
  Raise(slot.batches, 1);
  if (outputs) Raise(slot.rows, rows);
  slot.last.store(end.time_since_epoch().count(), std::memory_order_relaxed);
  return outputs;
}

InferResponse Scheduler::ResponseTo(InferRequest& request, std::vector<Tensor> outputs,
                                    std::size_t rows, const Phases& phases) const {
  InferResponse response{.model_name = spec_.name,
                         .model_version = spec_.version,
                         .id = std::move(request.id),
                         .parameters = answer_parameters_,
                         .phases = phases,
                         .batch_size = rows};
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].name.empty()) outputs[i].name = spec_.outputs[i].name;
  }
  if (request.outputs.empty()) {
    response.outputs = std::move(outputs);
    return response;
  }
  response.outputs.reserve(request.outputs.size());
  for (const std::string& name : request.outputs) {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (spec_.outputs[i].name == name) response.outputs.push_back(outputs[i]);
    }
  }
  return response;
}

void Scheduler::RunBatch(Slot& slot, BatchReason reason, bool inline_run, Turnover& turnover) {
  auto& batch = turnover.batch;
  turnover.rows.clear();
  std::size_t rows = 0;
  for (const auto& queued : batch) {
    turnover.rows.push_back(queued->rows);
    rows += queued->rows;
  }
  const SteadyTime start = Now();
  SteadyTime called = start;
  SteadyTime done;
  Result<std::vector<Tensor>> outputs = std::vector<Tensor>{};
  if (batch.size() == 1) {
    outputs = Call(slot, batch[0]->request.inputs, rows, start, done);
  } else {
    turnover.requests.clear();
    for (const auto& queued : batch) turnover.requests.push_back(&queued->request);
    const std::vector<Tensor> gathered = GatherRows(turnover.requests, slot.memory);
    called = Now();
    outputs = Call(slot, gathered, rows, called, done);
  }

  Result<std::vector<std::vector<Tensor>>> parts = std::vector<std::vector<Tensor>>{};
  if (!outputs) {
    parts = outputs.error();
  } else if (batch.size() == 1) {
    parts->push_back(std::move(*outputs));
  } else {
    parts = SplitRows(*outputs, turnover.rows);
  }
  const SteadyTime end = batch.size() == 1 ? done : Now();

  const std::uint64_t requests = batch.size();
  Phases phases{.preprocess = called - start, .infer = done - called, .postprocess = end - done};
  if (inline_run) Raise(slot.inline_batches, 1);
  Raise(slot.reasons[static_cast<std::size_t>(reason)], 1);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    QueuedRequest& queued = *batch[i];
    phases.queue = start - queued.request.arrived;
    if (!parts) {
      slot.fail.Add(1, end - queued.request.arrived);
      turnover.answers.emplace_back(parts.error());
      continue;
    }
    slot.success.Add(1, end - queued.request.arrived);
    slot.queue.Add(1, phases.queue);
    if (options_.histograms) slot.queue_buckets.Add(1, phases.queue);
    turnover.answers.emplace_back(ResponseTo(queued.request, std::move((*parts)[i]), rows, phases));
  }
  if (!parts) return;
  slot.input.Add(requests, phases.preprocess);
  slot.infer.Add(requests, phases.infer);
  slot.output.Add(requests, phases.postprocess);
  if (options_.histograms) {
    slot.input_buckets.Add(requests, phases.preprocess);
    slot.infer_buckets.Add(requests, phases.infer);
    slot.output_buckets.Add(requests, phases.postprocess);
  }
  SizeSums& size = slot.sizes[std::min(rows, slot.sizes.size() - 1)];
  size.input.Add(1, phases.preprocess);
  size.infer.Add(1, phases.infer);
  size.output.Add(1, phases.postprocess);
}

Result<std::vector<Tensor>> Scheduler::RunAlone(std::span<const Tensor> inputs, bool typical) {
  const std::size_t rows =
      options_.max_batch_size == 0 || inputs.empty() || inputs[0].shape.empty()
          ? 1
          : static_cast<std::size_t>(std::max<std::int64_t>(inputs[0].shape[0], 1));
  const SteadyTime start = Now();
  auto outputs = executor_->Execute(inputs);
  if (outputs && typical) cost_.Add(rows, Now() - start);
  return outputs;
}

void Scheduler::Drain() {
  draining_.store(true);
  std::unique_lock lock(mutex_);
  wake_.notify_all();
  // A caller's thread leaves without a word, lest it touch what may be gone: so look now and then.
  while (held_.load() != 0) answered_some_.wait_for(lock, std::chrono::microseconds{500});
}

ModelStatistics Scheduler::Statistics() const {
  ModelStatistics statistics;
  statistics.name = spec_.name;
  statistics.version = spec_.version;
  statistics.memory_bytes = executor_->memory_bytes();
  statistics.pending = queued_.load();
  statistics.refused = refused_.load(std::memory_order_relaxed);
  statistics.expired = expired_.load(std::memory_order_relaxed);
  statistics.cancelled = cancelled_.load(std::memory_order_relaxed);
  std::int64_t last = 0;
  std::map<std::size_t, BatchStatistics> sizes;
  for (const auto& slot : slots_) {
    statistics.inference_count += slot->rows.load(std::memory_order_relaxed);
    statistics.execution_count += slot->batches.load(std::memory_order_relaxed);
    statistics.ran_inline += slot->inline_batches.load(std::memory_order_relaxed);
    last = std::max(last, slot->last.load(std::memory_order_relaxed));
    for (std::size_t i = 0; i < kBatchReasons; ++i) {
      statistics.reasons[i] += slot->reasons[i].load(std::memory_order_relaxed);
    }
    slot->success.AddTo(statistics.success);
    slot->fail.AddTo(statistics.fail);
    slot->queue.AddTo(statistics.queue);
    slot->input.AddTo(statistics.input);
    slot->infer.AddTo(statistics.infer);
    slot->output.AddTo(statistics.output);
    slot->queue_buckets.AddTo(statistics.queue_seconds);
    slot->input_buckets.AddTo(statistics.preprocess_seconds);
    slot->infer_buckets.AddTo(statistics.infer_seconds);
    slot->output_buckets.AddTo(statistics.postprocess_seconds);
    for (std::size_t rows = 1; rows < slot->sizes.size(); ++rows) {
      const SizeSums& size = slot->sizes[rows];
      if (size.infer.count.load(std::memory_order_relaxed) == 0) continue;
      BatchStatistics& batch = sizes[rows];
      batch.batch_size = rows;
      size.input.AddTo(batch.input);
      size.infer.AddTo(batch.infer);
      size.output.AddTo(batch.output);
    }
  }
  statistics.fail.count += statistics.refused + statistics.expired + statistics.cancelled;
  for (auto& [rows, batch] : sizes) statistics.batches.push_back(batch);
  if (last != 0) {
    const auto ago = Now().time_since_epoch() - nanoseconds{last};
    statistics.last_inference_ms =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                       (std::chrono::system_clock::now() - ago).time_since_epoch())
                                       .count());
  }
  return statistics;
}

}  // namespace tidewheel::inference
