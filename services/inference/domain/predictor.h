#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/counters.h"
#include "tidewheel/inference/domain/facts.h"
#include "tidewheel/inference/domain/follow_up.h"
#include "tidewheel/inference/domain/model_table.h"

namespace tidewheel::inference {

/// A request on its way in; views live as long as the request.
struct PredictRequest {
  std::string task;
  std::string request_id;   // Empty: one is made.
  std::string routing_key;  // Empty: the request id.
  ModelInput input;
  std::map<std::string, std::string> metadata;
  std::chrono::steady_clock::time_point arrived = std::chrono::steady_clock::now();
};

struct PredictResult {
  std::string request_id;
  std::shared_ptr<const LoadedVersion> version;
  Role role = Role::kProduction;
  std::vector<Answer> answers;
  FollowUp follow_up;  // For Predictor::AfterAnswer.
};

/// Of the answers that clients got.
struct RoleCounters {
  Counter& predictions = Counter::None();
  Histogram& seconds = Histogram::None();
};

struct PredictorCounters {
  RoleCounters production{};
  RoleCounters canary{};
  Counter& refused = Counter::None();             // Requests that got an error.
  Counter& candidate_failures = Counter::None();  // Of a canary; production answered.
  Counter& captures_over_limit = Counter::None();
  Counter& outcomes = Counter::None();
};

/// Answers requests and tells of each answer: by the version that the request's key belongs to, or
/// by production when a candidate fails. Thread-safe.
class Predictor {
 public:
  static constexpr std::size_t kMaxPictures = 64;
  static constexpr std::size_t kMaxOutcomes = 1'000;

  Predictor(ModelTable& table, FactSink& sink, ShadowQueue& shadows, CaptureQueue& captures,
            const Clock& clock, PredictorCounters counters)
      : table_(table),
        sink_(sink),
        shadows_(shadows),
        captures_(captures),
        clock_(clock),
        counters_(counters) {}

  /// kNotFound: nothing serves the task. kInvalidArgument names the part of the request and its
  /// limit.
  Result<PredictResult> Predict(const PredictRequest& request);

  /// Hands on what may wait until the answer is on its way.
  void AfterAnswer(FollowUp follow_up);

  /// Tells of a request that was not even tried, because of us: no room, or no time left.
  void Refused(const PredictRequest& request, ErrorCode code);

  /// Takes all or, on kInvalidArgument, none. kResourceExhausted: how many were taken is in the
  /// message; repeat all.
  Result<std::size_t> RecordOutcomes(const std::vector<OutcomeFact>& outcomes);

 private:
  Result<PredictResult> Answered(const PredictRequest& request, const Route& route);
  void TellFailure(const PredictRequest& request, const std::string& request_id,
                   const LoadedVersion& version, Role role, ErrorCode code);
  void PlanShadow(const PredictRequest& request, const Route& route, Timestamp at,
                  PredictResult& result);
  void PlanCaptures(const PredictRequest& request, const Route& route, Timestamp at,
                    PredictResult& result);

  ModelTable& table_;
  FactSink& sink_;
  ShadowQueue& shadows_;
  CaptureQueue& captures_;
  const Clock& clock_;
  const PredictorCounters counters_;
  MinuteQuota quota_;
};

}  // namespace tidewheel::inference
