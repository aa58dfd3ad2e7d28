#include "tidewheel/inference/background/capture_keeper.h"

#include <utility>

#include "tidewheel/base/digest.h"
#include "tidewheel/blob/sha256.h"

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
             [this](std::vector<CapturedPayload> batch) { Keep(ShowRows(std::move(batch))); }) {}

bool CaptureKeeper::Admits(std::size_t bytes) {
  if (queue_.HasRoom(bytes + kCaptureBytes)) return true;
  counters_.dropped_by_queue.Add();
  return false;
}

void CaptureKeeper::Offer(CapturedPayload captured) {
  const std::size_t bytes = captured.bytes() + kCaptureBytes;
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

std::vector<CapturedPayload> CaptureKeeper::ShowRows(std::vector<CapturedPayload> batch) {
  std::vector<CapturedPayload> shown;
  for (CapturedPayload& captured : batch) {
    if (!captured.row.empty()) {
      auto picture = captured.version->model().Show(captured.row);
      if (!picture) {
        counters_.dropped_by_store.Add();
        if (on_problem_) on_problem_(picture.error());
        continue;
      }
      captured.payload = *std::move(picture);
      captured.sha256 = blob::Sha256(captured.payload).Hex();
      captured.row.clear();
      captured.version.reset();  // Who keeps the payload keeps no model.
    }
    shown.push_back(std::move(captured));
  }
  return shown;
}

void CaptureKeeper::Keep(const std::vector<CapturedPayload>& batch) {
  if (batch.empty()) return;
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
