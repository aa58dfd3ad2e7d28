#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/inference/domain/facts.h"
#include "tidewheel/inference/domain/route.h"

namespace tidewheel::inference {

/// An input that outlives its request.
struct InputCopy {
  std::vector<std::string> pictures;
  std::vector<std::int64_t> shape;  // Of rows; empty: pictures.
  std::vector<float> values;

  static InputCopy Of(const ModelInput& input);
  /// Views into this.
  ModelInput View() const;
};

/// The bytes that a copy of `input` takes.
std::size_t CopiedBytes(const ModelInput& input);

/// A request that a candidate is to answer as well, unseen.
struct ShadowCopy {
  std::shared_ptr<const LoadedVersion> candidate;
  QualityRules quality;
  std::string request_id;
  Timestamp at{};  // Of the answer that was given.
  InputCopy input;
  std::vector<std::optional<std::uint32_t>> answered;  // As in PredictionFact.
  std::map<std::string, std::string> metadata;
};

/// Takes copies for the shadow, without waiting: what does not fit is dropped and counted.
/// Thread-safe.
class ShadowQueue {
 public:
  virtual ~ShadowQueue() = default;
  /// Asked before the copy is made. False counts as a drop.
  virtual bool Admits(std::size_t bytes) = 0;
  virtual void Offer(ShadowCopy copy) = 0;
};

/// The same for inputs to keep.
class CaptureQueue {
 public:
  virtual ~CaptureQueue() = default;
  virtual bool Admits(std::size_t bytes) = 0;
  virtual void Offer(CapturedPayload captured) = 0;
};

/// What is left to do once the answer is on its way.
struct FollowUp {
  std::optional<ShadowCopy> shadow;
  std::vector<CapturedPayload> captures;
};

}  // namespace tidewheel::inference
