#pragma once

#include <chrono>
#include <functional>
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

/// A request on its way in; what is viewed lives until it is answered.
struct PredictRequest {
  std::string task;
  std::string request_id;   // Empty: one is made.
  std::string routing_key;  // Empty: the request id.
  ModelInput input;
  std::map<std::string, std::string> metadata;
  CallTerms terms;
  std::chrono::steady_clock::time_point arrived = std::chrono::steady_clock::now();
};

struct PredictResult {
  std::string request_id;
  bool id_was_made = false;  // The request had none.
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

  using Answered = std::function<void(Result<PredictResult>)>;
  /// How a version is asked: calls back exactly once, from any thread, perhaps before it returns.
  /// Asked a second time when a candidate failed and production is to answer.
  using AskVersion = std::function<void(const LoadedVersion&, ServedModel::Answered)>;

  /// Waits for no model: `answered` is called exactly once, from any thread and perhaps before this
  /// returns, and must not block.
  /// kNotFound: nothing serves the task. kInvalidArgument names the part of the request and its
  /// limit. kDeadlineExceeded, kCancelled: as the terms say. Else as ServedModel::Start.
  void Predict(PredictRequest request, Answered answered);
  /// The same for one whose route is known and whose models are asked elsewhere.
  void Predict(PredictRequest request, std::shared_ptr<const Route> route, AskVersion ask,
               Answered answered);

  /// Hands on what may wait until the answer is on its way.
  void AfterAnswer(FollowUp follow_up);

  /// Tells of a request that was not even tried, because of us: no room, or no time left.
  void Refused(const PredictRequest& request, ErrorCode code);

  /// Takes all or, on kInvalidArgument, none. kResourceExhausted: how many were taken is in the
  /// message; repeat all.
  Result<std::size_t> RecordOutcomes(const std::vector<OutcomeFact>& outcomes);

 private:
  struct Course;  // A request under way.
  void AskProduction(const std::shared_ptr<Course>& course);
  void Deliver(const std::shared_ptr<Course>& course,
               const std::shared_ptr<const LoadedVersion>& version, Role role,
               std::vector<Answer> answers);
  /// Tells of it where it is our fault.
  void Fail(const std::shared_ptr<Course>& course, const LoadedVersion& version, Role role,
            Error error);
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
