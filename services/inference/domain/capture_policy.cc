#include "tidewheel/inference/domain/capture_policy.h"

#include <algorithm>
#include <chrono>

#include "tidewheel/inference/domain/unit_hash.h"

namespace tidewheel::inference {

std::string_view Name(CaptureReason reason) {
  switch (reason) {
    case CaptureReason::kUncertain:
      return "uncertain";
    case CaptureReason::kOutOfDistribution:
      return "out_of_distribution";
    case CaptureReason::kRandom:
      return "random";
  }
  return "random";
}

std::optional<CaptureDecision> DecideCapture(const CapturePolicy& policy,
                                             std::string_view request_id, std::size_t index,
                                             const Answer& answer,
                                             const EmbeddingReference* reference) {
  // First, so that it is a sample of all traffic, the hard cases among it.
  if (UnitHash(request_id, index) < policy.random_share) {
    return CaptureDecision{CaptureReason::kRandom, std::min(policy.random_share, 1.0)};
  }
  if (double{answer.confidence()} < policy.uncertain_below) {
    return CaptureDecision{CaptureReason::kUncertain, 0};
  }
  if (policy.out_of_distribution_quantile > 0 && reference != nullptr &&
      answer.embedding.size() == reference->numbers() &&
      reference->SquaredDistance(answer.embedding) >
          reference->DistanceAt(policy.out_of_distribution_quantile)) {
    return CaptureDecision{CaptureReason::kOutOfDistribution, 0};
  }
  return std::nullopt;
}

bool MinuteQuota::TryTake(const std::string& task, std::uint32_t limit, Timestamp now) {
  const auto number = std::chrono::floor<std::chrono::minutes>(now).time_since_epoch().count();
  const std::lock_guard lock(mutex_);
  Minute& minute = minutes_[task];
  if (minute.number != number) minute = {number, 0};
  if (minute.taken >= limit) return false;
  ++minute.taken;
  return true;
}

}  // namespace tidewheel::inference
