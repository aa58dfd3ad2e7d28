#pragma once

#include <chrono>
#include <stop_token>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/labeling/domain/label_maker.h"
#include "tidewheel/labeling/domain/queue_store.h"

namespace tidewheel::labeling {

/// Computes labels when they are due: a batch has all its votes, or outcomes made votes. What was
/// due when a process ended is found by the next one.
class LabelWorker {
 public:
  struct Options {
    std::chrono::milliseconds interval{1'000};       // Between two looks when nobody calls.
    std::chrono::milliseconds settle_every{10'000};  // For items that nobody is left to judge.
    std::chrono::milliseconds keep_outcomes{2'592'000'000};  // That wait for their sample.
  };

  /// Starts at once. All must outlive it. `completed` counts batches.
  LabelWorker(QueueStore& store, LabelMaker& maker, const Clock& clock, Options options,
              Counter& completed = Counter::None());

  /// Labels became due. From any thread.
  void Wake() { pause_.Wake(); }

 private:
  void Run(std::stop_token stop);
  void Report(const Result<void>& outcome) const;

  QueueStore& store_;
  LabelMaker& maker_;
  const Clock& clock_;
  const Options options_;
  Counter& completed_;
  Pause pause_;
  Worker worker_;  // Last: it uses all of the above.
};

}  // namespace tidewheel::labeling
