#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/inference/domain/route.h"

namespace tidewheel::inference {

/// What is told of a prediction: that it was made, that a shadow made it, or that it failed.
struct PredictionFact {
  std::string_view request_id;
  Timestamp at{};
  const ModelIdentity* model = nullptr;
  Role role = Role::kProduction;
  std::string_view variant;         // As ServedModel::variant.
  double seconds = 0;               // From arrival to answer; of a shadow, the model's own part.
  std::span<const Answer> answers;  // Empty when it failed.
  /// Of a shadow, one per answer: the class that the client was answered, if the model knows it.
  std::span<const std::optional<std::uint32_t>> answered;
  const std::map<std::string, std::string>* metadata = nullptr;
  std::optional<ErrorCode> error;
};

/// What turned out to be true of a prediction.
struct OutcomeFact {
  std::string request_id;
  std::string task;
  std::uint32_t index = 0;
  std::string class_name;
  std::string source;
  Timestamp observed_at{};
};

/// An input that is to be kept, and why: a payload, or a row that is a picture once it is shown.
struct CapturedPayload {
  std::string request_id;
  std::uint32_t index = 0;
  std::string task;
  std::string model_version_id;
  Timestamp at{};
  std::string payload;
  std::string sha256;  // Hexadecimal; of a row once it is shown.
  CaptureDecision decision;
  std::string class_name;
  double confidence = 0;
  std::map<std::string, std::string> metadata;
  std::vector<float> row;                        // Empty: it is the payload.
  std::shared_ptr<const LoadedVersion> version;  // Of a row: whose it is.

  std::size_t bytes() const { return payload.size() + row.size() * sizeof(float); }
};

/// An input that is kept: durable under `payload_ref`.
struct CaptureFact {
  const CapturedPayload* captured = nullptr;
  std::string payload_ref;
};

/// Where facts go. Never blocks. Thread-safe.
class FactSink {
 public:
  virtual ~FactSink() = default;
  virtual void Tell(const PredictionFact& fact) = 0;
  /// False: there is no room now, and the fact was not taken.
  virtual bool Tell(const OutcomeFact& fact) = 0;
  virtual bool Tell(const CaptureFact& fact) = 0;
};

}  // namespace tidewheel::inference
