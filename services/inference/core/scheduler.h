#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/inference/core/batch_queue.h"
#include "tidewheel/inference/core/cost_model.h"
#include "tidewheel/inference/core/executor.h"
#include "tidewheel/inference/core/model_server.h"

namespace tidewheel::inference {

struct SchedulerOptions {
  /// What is served, where it is not called or shaped as the executor says.
  std::optional<ModelSpec> spec{};
  /// Rows of one call; 0: the model does not batch, each request is a call.
  std::size_t max_batch_size = 0;
  BatchPolicy batching{};       // enabled = false: each request is a call.
  std::uint32_t instances = 1;  // Calls at the same time, each with a thread; at most 64.
  /// CPUs of the instances' threads, one set after the other in turn; empty: wherever they may.
  std::vector<std::vector<int>> cpus{};
  std::size_t most_queued = 16'384;
  std::size_t most_queued_bytes = std::size_t{1} << 30;
  /// A request that would wait longer than this is refused; 0: only deadlines and timeouts count.
  std::chrono::nanoseconds queue_budget{0};
  /// The budget is not less than so many calls of full batches, as measured: a model whose calls
  /// take longer than the budget has a queue too.
  std::size_t queue_calls = 0;
  /// A call that costs at most this runs on the caller's thread when nothing waits; 0: never.
  std::chrono::nanoseconds inline_limit{200'000};
  /// Of calls that were read together: what all of them may cost, one after the other, before they
  /// are rather gathered.
  std::chrono::nanoseconds together_limit{50'000};
  /// How long a caller's thread goes on with what queued up while it ran; then a thread of the
  /// scheduler takes over.
  std::chrono::nanoseconds inline_turn{1'000'000};
  bool histograms = true;
};

/// Runs the requests of one loaded version: batches that never wait unless told to, priorities,
/// timeouts, deadlines and cancellation, refusal of what cannot be in time, and the count of all of
/// it. Each request is answered exactly once. Thread-safe.
class Scheduler {
 public:
  /// Starts a thread for each instance.
  Scheduler(std::unique_ptr<Executor> executor, SchedulerOptions options);
  /// Drains.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  const ModelSpec& spec() const { return spec_; }
  const SchedulerOptions& options() const { return options_; }

  /// Takes a request that fits the spec (FitToSpec) and answers it later, or before this returns:
  /// kResourceExhausted, kDeadlineExceeded, kCancelled, or what the executor says. False: it drains
  /// and has left both arguments as they were. `answered` must not block.
  bool Submit(InferRequest& request, ModelServer::Answered& answered);

  /// Runs a call outside of the queue, and remembers what it cost if that is `typical`.
  Result<std::vector<Tensor>> RunAlone(std::span<const Tensor> inputs, bool typical = true);

  /// Takes no more requests and returns when all have been answered. Not to be called by
  /// `answered`.
  void Drain();

  ModelStatistics Statistics() const;
  /// What a call of so many rows costs; 0: not known yet.
  std::chrono::nanoseconds Cost(std::size_t rows) const { return cost_.Of(rows); }

 private:
  struct Slot;
  struct Turnover;
  struct OrderedAnswers;
  enum class Refusal { kFull, kExpired, kCancelled };

  void Work(std::size_t index);
  void Serve(Slot& slot, BatchReason reason, bool inline_run, Turnover& turnover);
  void RunBatch(Slot& slot, BatchReason reason, bool inline_run, Turnover& turnover);
  Result<std::vector<Tensor>> Call(Slot& slot, std::span<const Tensor> inputs, std::size_t rows,
                                   SteadyTime start, SteadyTime& end);
  void RunInline(Slot& slot, InferRequest& request, ModelServer::Answered& answered,
                 std::size_t rows, SteadyTime start);
  void Lead(SteadyTime began);
  void LeaveOutCancelled(Turnover& turnover);
  void AnswerRefused(std::vector<RefusedRequest>& refused);
  void Deliver(QueuedRequest& request, Result<InferResponse> answer);
  void Refuse(ModelServer::Answered& answered, Refusal kind, Error error);

  Slot* TakeSlot();
  void GiveSlotBack(Slot& slot);
  void WakeOne();
  Result<void> CheckHope(const QueuedRequest& request, SteadyTime now) const;
  InferResponse ResponseTo(InferRequest& request, std::vector<Tensor> outputs, std::size_t rows,
                           const Phases& phases) const;

  const SchedulerOptions options_;
  const std::unique_ptr<Executor> executor_;
  const ModelSpec spec_;
  const Parameters answer_parameters_;
  const std::size_t most_rows_;      // Of a call; 1 of a model that does not batch.
  const std::size_t gathered_rows_;  // Of the requests that are put together in a call, at most.
  const bool batches_;
  const bool may_run_inline_;

  CostModel cost_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::atomic<std::uint64_t> free_slots_;  // A bit for each.
  std::atomic<std::size_t> queued_{0};     // The queue's size, to be read without its lock.
  std::atomic<std::size_t> sleeping_{0};   // Threads in wake_.
  std::atomic<std::int64_t> held_{0};      // Requests not answered, and calls of Submit.
  std::atomic<bool> draining_{false};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> expired_{0};
  std::atomic<std::uint64_t> cancelled_{0};
  std::unique_ptr<OrderedAnswers> ordered_;  // Null: answers need no order.

  mutable std::mutex mutex_;  // Guards queue_ and stopping_; sleeping_ rises under it.
  std::condition_variable wake_;
  std::condition_variable answered_some_;  // While draining.
  BatchQueue queue_;
  bool stopping_ = false;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace tidewheel::inference
