#pragma once

#include <functional>
#include <memory>
#include <string>

#include "tidewheel/base/bounded_queue.h"
#include "tidewheel/base/counters.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/inference/explaining/explainable_model.h"
#include "tidewheel/inference/explaining/explanation.h"

namespace tidewheel::inference {

struct ExplainCounters {
  Counter& explained = Counter::None();
  Counter& cut_short = Counter::None();  // Of these, by the end of their time.
  Counter& failed = Counter::None();
  Counter& refused = Counter::None();  // For want of room.
  Histogram& seconds = Histogram::None();
};

/// Explanations, one after another, on a thread of the lowest priority and on copies of the models
/// that nothing else asks: predictions get the processor first and never wait for a place that an
/// explanation holds. Thread-safe.
class ExplainQueue {
 public:
  struct Options {
    std::size_t waiting = 16;  // The next is refused.
  };
  using Done = std::function<void(Result<Explanation>)>;
  using Gone = std::function<bool()>;

  /// `models` must outlive it.
  ExplainQueue(ExplainableModels& models, const Options& options, ExplainCounters counters);
  /// What waits is answered with kCancelled.
  ~ExplainQueue();

  /// Calls `done` once, perhaps before it returns: kResourceExhausted when too many wait,
  /// kInvalidArgument, and what Explain says. An explanation whose caller has `gone` is not begun.
  void Explain(ExplainRequest request, Gone gone, Done done);

 private:
  struct Job {
    ExplainRequest request;
    Gone gone;
    Done done;
  };

  void Work(const std::stop_token& stop);
  Result<Explanation> Run(const Job& job, const std::stop_token& stop);

  ExplainableModels& models_;
  const ExplainCounters counters_;
  BoundedQueue<Job> queue_;
  Worker worker_;  // Last: it uses the rest.
};

}  // namespace tidewheel::inference
