#include "tidewheel/inference/domain/predictor.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "tidewheel/base/ids.h"

namespace tidewheel::inference {
namespace {

constexpr std::size_t kMaxIdBytes = 128;
constexpr std::size_t kMaxRoutingKeyBytes = 1'024;
constexpr std::size_t kMaxMetadata = 64;
constexpr std::size_t kMaxMetadataBytes = 1'024;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> CheckRequest(const PredictRequest& request) {
  if (request.request_id.size() > kMaxIdBytes) {
    return Bad("request_id has " + std::to_string(request.request_id.size()) +
               " bytes, the limit is " + std::to_string(kMaxIdBytes));
  }
  if (request.request_id.find('\0') != std::string::npos)
    return Bad("request_id holds a zero byte");
  if (request.routing_key.size() > kMaxRoutingKeyBytes) {
    return Bad("routing_key has " + std::to_string(request.routing_key.size()) +
               " bytes, the limit is " + std::to_string(kMaxRoutingKeyBytes));
  }
  if (request.input.pictures.empty() && !request.input.rows)
    return Bad("a request has pictures or a tensor");
  if (request.input.pictures.size() > Predictor::kMaxPictures) {
    return Bad("a request has at most " + std::to_string(Predictor::kMaxPictures) +
               " pictures, this one has " + std::to_string(request.input.pictures.size()));
  }
  if (request.metadata.size() > kMaxMetadata) {
    return Bad("metadata has at most " + std::to_string(kMaxMetadata) + " pairs");
  }
  for (const auto& [key, value] : request.metadata) {
    if (key.size() + value.size() > kMaxMetadataBytes) {
      return Bad("metadata " + key.substr(0, 64) + " has more than " +
                 std::to_string(kMaxMetadataBytes) + " bytes");
    }
  }
  return {};
}

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Whether a request failed because of us: its sender can do nothing about it.
bool IsOurs(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kOutOfRange:
    case ErrorCode::kNotFound:
    case ErrorCode::kCancelled:
      return false;
    default:
      return true;
  }
}

/// The classes that were answered, as `candidate` numbers them.
std::vector<std::optional<std::uint32_t>> AnsweredClasses(
    std::span<const Answer> answers, const std::vector<std::string>& classes,
    const std::vector<std::string>& candidate) {
  std::vector<std::optional<std::uint32_t>> answered;
  answered.reserve(answers.size());
  for (const Answer& answer : answers) {
    const auto found = std::find(candidate.begin(), candidate.end(), classes[answer.class_index]);
    if (found == candidate.end()) {
      answered.emplace_back();
    } else {
      answered.emplace_back(static_cast<std::uint32_t>(found - candidate.begin()));
    }
  }
  return answered;
}

}  // namespace

void Predictor::TellFailure(const PredictRequest& request, const std::string& request_id,
                            const LoadedVersion& version, Role role, ErrorCode code) {
  PredictionFact fact;
  fact.request_id = request_id;
  fact.at = clock_.Now();
  fact.model = &version.identity();
  fact.role = role;
  fact.seconds = SecondsSince(request.arrived);
  fact.metadata = &request.metadata;
  fact.error = code;
  sink_.Tell(fact);
}

Result<PredictResult> Predictor::Answered(const PredictRequest& request, const Route& route) {
  PredictResult result;
  result.request_id = request.request_id.empty() ? NewUuid() : request.request_id;
  const std::string& key = request.routing_key.empty() ? result.request_id : request.routing_key;
  std::optional<Error> harm;  // What befell the candidate.
  if (route.RoleOf(request.task, key) == Role::kCanary) {
    auto answers = Ask(route.candidate->model(), request.input, route.quality);
    if (answers) {
      result.version = route.candidate;
      result.role = Role::kCanary;
      result.answers = *std::move(answers);
      return result;
    }
    harm = answers.error();
  }
  auto answers = Ask(route.production->model(), request.input, route.quality);
  // Both refuse: it is the input. Only what production can answer counts against a candidate.
  if (harm && (answers || IsOurs(answers.error().code))) {
    counters_.candidate_failures.Add();
    TellFailure(request, result.request_id, *route.candidate, Role::kCanary, harm->code);
  }
  if (!answers) {
    if (IsOurs(answers.error().code)) {
      TellFailure(request, result.request_id, *route.production, Role::kProduction,
                  answers.error().code);
    }
    return answers.error();
  }
  result.version = route.production;
  result.answers = *std::move(answers);
  return result;
}

void Predictor::PlanShadow(const PredictRequest& request, const Route& route, Timestamp at,
                           PredictResult& result) {
  if (!route.has_shadow() || !shadows_.Admits(CopiedBytes(request.input))) return;
  result.follow_up.shadow =
      ShadowCopy{route.candidate,
                 route.quality,
                 result.request_id,
                 at,
                 InputCopy::Of(request.input),
                 AnsweredClasses(result.answers, result.version->identity().classes,
                                 route.candidate->identity().classes),
                 request.metadata};
}

void Predictor::PlanCaptures(const PredictRequest& request, const Route& route, Timestamp at,
                             PredictResult& result) {
  // Rows have no payload that a person could look at.
  if (!route.capture.on() || request.input.rows) return;
  const ModelIdentity& model = result.version->identity();
  for (std::size_t i = 0; i < result.answers.size(); ++i) {
    const Answer& answer = result.answers[i];
    const auto decision = DecideCapture(route.capture, result.request_id, i, answer,
                                        result.version->model().reference());
    if (!decision) continue;
    if (!quota_.TryTake(request.task, route.capture.max_per_minute, at)) {
      counters_.captures_over_limit.Add();
      continue;
    }
    const std::string_view payload = request.input.pictures[i];
    if (!captures_.Admits(payload.size())) continue;
    result.follow_up.captures.push_back(
        {result.request_id, static_cast<std::uint32_t>(i), request.task, model.model_version_id, at,
         std::string(payload), answer.payload_sha256, *decision, model.classes[answer.class_index],
         double{answer.confidence()}, request.metadata});
  }
}

Result<PredictResult> Predictor::Predict(const PredictRequest& request) {
  const auto good = CheckRequest(request);
  const auto route = good ? table_.Find(request.task) : nullptr;
  if (route == nullptr) {
    counters_.refused.Add();
    if (!good) return good.error();
    if (!table_.complete()) {
      return Error{ErrorCode::kUnavailable, "which models serve is not known yet"};
    }
    return Error{ErrorCode::kNotFound, "no model serves task " + request.task.substr(0, 80)};
  }
  auto result = Answered(request, *route);
  if (!result) {
    counters_.refused.Add();
    return result;
  }

  PredictionFact fact;
  fact.request_id = result->request_id;
  fact.at = clock_.Now();
  fact.model = &result->version->identity();
  fact.role = result->role;
  fact.seconds = SecondsSince(request.arrived);
  fact.answers = result->answers;
  fact.metadata = &request.metadata;
  sink_.Tell(fact);

  const RoleCounters& counters =
      result->role == Role::kCanary ? counters_.canary : counters_.production;
  counters.predictions.Add(static_cast<double>(result->answers.size()));
  counters.seconds.Observe(fact.seconds);
  result->version->CountPredictions(result->answers.size());
  PlanShadow(request, *route, fact.at, *result);
  PlanCaptures(request, *route, fact.at, *result);
  return result;
}

void Predictor::AfterAnswer(FollowUp follow_up) {
  if (follow_up.shadow) shadows_.Offer(*std::move(follow_up.shadow));
  for (auto& captured : follow_up.captures) captures_.Offer(std::move(captured));
}

void Predictor::Refused(const PredictRequest& request, ErrorCode code) {
  counters_.refused.Add();
  if (!CheckRequest(request)) return;
  const auto route = table_.Find(request.task);
  if (route == nullptr) return;
  const std::string request_id = request.request_id.empty() ? NewUuid() : request.request_id;
  const Role role =
      route->RoleOf(request.task, request.routing_key.empty() ? request_id : request.routing_key);
  TellFailure(request, request_id, role == Role::kCanary ? *route->candidate : *route->production,
              role, code);
}

Result<std::size_t> Predictor::RecordOutcomes(const std::vector<OutcomeFact>& outcomes) {
  if (outcomes.size() > kMaxOutcomes) {
    return Bad("a call has at most " + std::to_string(kMaxOutcomes) + " outcomes, this one has " +
               std::to_string(outcomes.size()));
  }
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const OutcomeFact& outcome = outcomes[i];
    const std::string name = "outcome " + std::to_string(i);
    if (outcome.request_id.empty() || outcome.request_id.size() > kMaxIdBytes) {
      return Bad(name + ": request_id has 1 to " + std::to_string(kMaxIdBytes) + " bytes");
    }
    const auto route = table_.Find(outcome.task);
    if (route == nullptr)
      continue;  // A task that is served elsewhere: monitoring knows its classes.
    const auto& classes = route->production->identity().classes;
    if (std::find(classes.begin(), classes.end(), outcome.class_name) == classes.end()) {
      return Bad(name + ": class \"" + outcome.class_name.substr(0, 80) + "\" is not in task " +
                 outcome.task);
    }
  }
  std::size_t taken = 0;
  for (const auto& outcome : outcomes) {
    if (!sink_.Tell(outcome)) {
      return Error{ErrorCode::kResourceExhausted,
                   "took " + std::to_string(taken) + " of " + std::to_string(outcomes.size()) +
                       " outcomes, there is no room for more now; send all of them again"};
    }
    ++taken;
    counters_.outcomes.Add();
  }
  return taken;
}

}  // namespace tidewheel::inference
