#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/counters.h"
#include "tidewheel/inference/domain/model_table.h"

namespace tidewheel::inference {

/// Rows that were preprocessed by the caller.
struct Rows {
  std::vector<std::int64_t> shape;  // Rows first.
  std::span<const float> values;
};

/// A request on its way in; views live as long as the request.
struct PredictRequest {
  std::string task;
  std::string request_id;  // Empty: one is made.
  std::vector<std::string_view> pictures;
  std::optional<Rows> rows;
  std::map<std::string, std::string> metadata;
};

struct PredictResult {
  std::string request_id;
  std::shared_ptr<const ServedModel> model;
  std::vector<Answer> answers;
};

/// What is told of a prediction that was made.
struct PredictionFact {
  std::string request_id;
  Timestamp at{};
  const ModelIdentity* model = nullptr;
  std::span<const Answer> answers;
  const std::map<std::string, std::string>* metadata = nullptr;
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

/// Where facts go. Never blocks. Thread-safe.
class FactSink {
 public:
  virtual ~FactSink() = default;
  virtual void Tell(const PredictionFact& fact) = 0;
  /// False: there is no room now, and the fact was not taken.
  virtual bool Tell(const OutcomeFact& fact) = 0;
};

struct PredictorCounters {
  Counter& predictions = Counter::None();
  Counter& refused = Counter::None();
  Counter& outcomes = Counter::None();
};

/// Answers requests and tells of each answer. Thread-safe.
class Predictor {
 public:
  static constexpr std::size_t kMaxPictures = 64;
  static constexpr std::size_t kMaxOutcomes = 1'000;

  Predictor(ModelTable& table, FactSink& sink, const Clock& clock, PredictorCounters counters)
      : table_(table), sink_(sink), clock_(clock), counters_(counters) {}

  /// kNotFound: nothing serves the task. kInvalidArgument names the part of the request and its
  /// limit.
  Result<PredictResult> Predict(const PredictRequest& request);

  /// Takes all or, on kInvalidArgument, none. kResourceExhausted: how many were taken is in the
  /// message; repeat all.
  Result<std::size_t> RecordOutcomes(const std::vector<OutcomeFact>& outcomes);

 private:
  Result<PredictResult> Answered(const PredictRequest& request);

  ModelTable& table_;
  FactSink& sink_;
  const Clock& clock_;
  const PredictorCounters counters_;
};

}  // namespace tidewheel::inference
