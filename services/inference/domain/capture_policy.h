#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "tidewheel/base/clock.h"
#include "tidewheel/inference/domain/embedding_reference.h"
#include "tidewheel/inference/domain/served_model.h"

namespace tidewheel::inference {

/// Which inputs of a task's traffic are kept. All zero keeps none.
struct CapturePolicy {
  double random_share = 0;                  // Of all traffic, whatever it is.
  double uncertain_below = 0;               // Kept when the confidence is below; 0: none.
  double out_of_distribution_quantile = 0;  // Of the reference's distances; 0: none.
  std::uint32_t max_per_minute = 0;         // Of this process.

  /// Whether anything may be kept at all.
  bool on() const {
    return max_per_minute > 0 &&
           (random_share > 0 || uncertain_below > 0 || out_of_distribution_quantile > 0);
  }

  friend bool operator==(const CapturePolicy&, const CapturePolicy&) = default;
};

enum class CaptureReason { kRandom, kUncertain, kOutOfDistribution };
inline constexpr std::array kCaptureReasons = {CaptureReason::kRandom, CaptureReason::kUncertain,
                                               CaptureReason::kOutOfDistribution};
/// "random", "uncertain", "out_of_distribution".
std::string_view Name(CaptureReason reason);

struct CaptureDecision {
  CaptureReason because = CaptureReason::kRandom;
  /// Of kRandom: with which any input is kept, whatever it is; else 0. The random ones alone stand
  /// for all traffic.
  double inclusion_probability = 0;

  friend bool operator==(const CaptureDecision&, const CaptureDecision&) = default;
};

/// Whether one input of a request is to be kept, and why: the first reason that holds. Chance is a
/// hash of request and place, so a repeat of the request is decided alike. `reference` may be null.
/// Pure.
std::optional<CaptureDecision> DecideCapture(const CapturePolicy& policy,
                                             std::string_view request_id, std::size_t index,
                                             const Answer& answer,
                                             const EmbeddingReference* reference);

/// How many were kept in this minute of the clock, by task. Thread-safe.
class MinuteQuota {
 public:
  /// False: `limit` were taken in `now`'s minute already.
  bool TryTake(const std::string& task, std::uint32_t limit, Timestamp now);

 private:
  struct Minute {
    std::int64_t number = 0;  // Since 1970.
    std::uint32_t taken = 0;
  };

  std::mutex mutex_;  // Guards minutes_, which has no more tasks than are deployed in a lifetime.
  std::map<std::string, Minute> minutes_;
};

}  // namespace tidewheel::inference
