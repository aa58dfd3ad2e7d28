#include "tidewheel/inference/background/capture_keeper.h"

#include <utility>

#include "tidewheel/base/digest.h"

namespace tidewheel::inference {
namespace {

/// Payloads that are made durable together.
constexpr std::size_t kBatch = 64;
/// What a captured input weighs beside its payload.
constexpr std::size_t kCaptureBytes = 1'024;

Counter& KeptCounter(const CaptureCounters& counters, CaptureReason because) {
  switch (because) {
    case CaptureReason::kUncertain:
      return counters.uncertain;
    case CaptureReason::kOutOfDistribution:
      return counters.out_of_distribution;
    case CaptureReason::kRandom:
      return counters.random;
  }
  return counters.random;
}

}  // namespace

CaptureKeeper::CaptureKeeper(blob::Store& payloads, FactSink& sink, const BackgroundLimits& limits,
                             CaptureCounters counters, std::function<void(const Error&)> on_problem)
    : payloads_(payloads),
      sink_(sink),
      counters_(counters),
      on_problem_(std::move(on_problem)),
      queue_("capture", limits, kBatch, BackgroundQueue<CapturedPayload>::AtShutdown::kFinish,
             [this](const std::vector<CapturedPayload>& batch) { Keep(batch); }) {}

bool CaptureKeeper::Admits(std::size_t bytes) {
  if (queue_.HasRoom(bytes + kCaptureBytes)) return true;
  counters_.dropped_by_queue.Add();
  return false;
}

void CaptureKeeper::Offer(CapturedPayload captured) {
  const std::size_t bytes = captured.payload.size() + kCaptureBytes;
  if (!queue_.TryPush(std::move(captured), bytes)) counters_.dropped_by_queue.Add();
}

Result<std::vector<blob::Ref>> CaptureKeeper::Put(const std::vector<CapturedPayload>& batch) {
  std::vector<blob::HashedPayload> payloads;
  for (const auto& captured : batch) {
    const auto digest = Digest::FromHex(captured.sha256);
    if (!digest) return digest.error();
    payloads.push_back({captured.payload, *digest});
  }
  return payloads_.PutHashed(payloads);
}

void CaptureKeeper::Keep(const std::vector<CapturedPayload>& batch) {
  const auto refs = Put(batch);
  if (!refs) {
    counters_.dropped_by_store.Add(static_cast<double>(batch.size()));
    if (on_problem_) on_problem_(refs.error());
    return;
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (sink_.Tell(CaptureFact{&batch[i], (*refs)[i].text()})) {
      KeptCounter(counters_, batch[i].decision.because).Add();
    } else {
      counters_.dropped_by_bus.Add();
    }
  }
}

}  // namespace tidewheel::inference
