#pragma once

#include <functional>
#include <vector>

#include "tidewheel/base/counters.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/inference/background/background_queue.h"
#include "tidewheel/inference/domain/follow_up.h"

namespace tidewheel::inference {

struct CaptureCounters {
  Counter& uncertain = Counter::None();  // Kept, by reason.
  Counter& out_of_distribution = Counter::None();
  Counter& random = Counter::None();
  Counter& dropped_by_queue = Counter::None();  // No room behind the answers.
  Counter& dropped_by_store = Counter::None();  // The payload store did not take it.
  Counter& dropped_by_bus = Counter::None();    // Kept, but nobody was told.
};

/// Keeps inputs: first the payload, durably, then the event that says so. Behind everything else;
/// what does not fit is dropped and counted, what waits at shutdown is finished. Thread-safe.
class CaptureKeeper final : public CaptureQueue {
 public:
  /// `on_problem` is called from the keeper's thread, for the log. All must outlive it.
  CaptureKeeper(blob::Store& payloads, FactSink& sink, const BackgroundLimits& limits,
                CaptureCounters counters, std::function<void(const Error&)> on_problem);

  bool Admits(std::size_t bytes) override;
  void Offer(CapturedPayload captured) override;

 private:
  /// Makes pictures of rows; without those that cannot be shown.
  std::vector<CapturedPayload> ShowRows(std::vector<CapturedPayload> batch);
  void Keep(const std::vector<CapturedPayload>& batch);
  Result<std::vector<blob::Ref>> Put(const std::vector<CapturedPayload>& batch);

  blob::Store& payloads_;
  FactSink& sink_;
  const CaptureCounters counters_;
  const std::function<void(const Error&)> on_problem_;
  BackgroundQueue<CapturedPayload> queue_;  // Last: its thread uses the rest.
};

}  // namespace tidewheel::inference
