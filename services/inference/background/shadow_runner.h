#pragma once

#include "tidewheel/base/counters.h"
#include "tidewheel/inference/background/background_queue.h"
#include "tidewheel/inference/domain/follow_up.h"

namespace tidewheel::inference {

struct ShadowCounters {
  Counter& predictions = Counter::None();
  Counter& failures = Counter::None();  // Copies that the candidate could not answer.
  Counter& dropped = Counter::None();   // Copies for which there was no room.
  Histogram& seconds = Histogram::None();
};

/// Lets candidates answer copies of requests that were answered already, and tells what they would
/// have said. One at a time, behind everything else: what does not fit is dropped and counted, and
/// so is what waits at shutdown. Thread-safe.
class ShadowRunner final : public ShadowQueue {
 public:
  /// `sink` must outlive it.
  ShadowRunner(FactSink& sink, const BackgroundLimits& limits, ShadowCounters counters);

  bool Admits(std::size_t bytes) override;
  void Offer(ShadowCopy copy) override;

 private:
  void Run(const ShadowCopy& copy);

  FactSink& sink_;
  const ShadowCounters counters_;
  BackgroundQueue<ShadowCopy> queue_;  // Last: its thread uses the rest.
};

}  // namespace tidewheel::inference
