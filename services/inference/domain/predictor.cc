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

/// A request from the choice of its version to its answer.
struct Predictor::Course {
  PredictRequest request;
  std::shared_ptr<const Route> route;
  AskVersion ask;
  Answered answered;
  std::string request_id;
  std::optional<Error> harm;  // What befell the candidate.

  /// What an error means here: who gave up because the time was over did not go of their own will.
  Error Meant(Error error) const {
    const auto& deadline = request.terms.deadline;
    if (error.code != ErrorCode::kCancelled || !deadline ||
        std::chrono::system_clock::now() < *deadline) {
      return error;
    }
    return {ErrorCode::kDeadlineExceeded, "the deadline passed while the prediction waited"};
  }
};

void Predictor::TellFailure(const PredictRequest& request, const std::string& request_id,
                            const LoadedVersion& version, Role role, ErrorCode code) {
  PredictionFact fact;
  fact.request_id = request_id;
  fact.at = clock_.Now();
  fact.model = &version.identity();
  fact.role = role;
  fact.variant = version.model().variant();
  fact.seconds = SecondsSince(request.arrived);
  fact.metadata = &request.metadata;
  fact.error = code;
  sink_.Tell(fact);
}

void Predictor::Predict(PredictRequest request, Answered answered) {
  auto route = table_.Find(request.task);
  Predict(std::move(request), std::move(route), {}, std::move(answered));
}

void Predictor::Predict(PredictRequest request, std::shared_ptr<const Route> route, AskVersion ask,
                        Answered answered) {
  const auto good = CheckRequest(request);
  if (!good || route == nullptr) {
    counters_.refused.Add();
    if (!good) return answered(good.error());
    if (!table_.complete()) {
      return answered(Error{ErrorCode::kUnavailable, "which models serve is not known yet"});
    }
    return answered(
        Error{ErrorCode::kNotFound, "no model serves task " + request.task.substr(0, 80)});
  }
  const auto course = std::make_shared<Course>(
      Course{std::move(request), std::move(route), std::move(ask), std::move(answered), {}, {}});
  const PredictRequest& its = course->request;
  course->request_id = its.request_id.empty() ? NewUuid() : its.request_id;
  if (!course->ask) {
    // The request stays where it is for as long as the course, which each answer holds.
    course->ask = [&its, &quality = course->route->quality](const LoadedVersion& version,
                                                            ServedModel::Answered each) {
      StartAsking(version.model(), its.input, quality, its.terms, std::move(each));
    };
  }
  const std::string& key = its.routing_key.empty() ? course->request_id : its.routing_key;
  if (course->route->RoleOf(its.task, key) != Role::kCanary) return AskProduction(course);
  course->ask(*course->route->candidate, [this, course](Result<std::vector<Answer>> got) {
    const auto& candidate = course->route->candidate;
    if (got) return Deliver(course, candidate, Role::kCanary, *std::move(got));
    const Error error = course->Meant(got.error());
    // There is nobody left to be answered by production.
    if (error.code == ErrorCode::kCancelled || error.code == ErrorCode::kDeadlineExceeded) {
      return Fail(course, *candidate, Role::kCanary, error);
    }
    course->harm = error;
    AskProduction(course);
  });
}

void Predictor::AskProduction(const std::shared_ptr<Course>& course) {
  course->ask(*course->route->production, [this, course](Result<std::vector<Answer>> got) {
    const Route& route = *course->route;
    const Error error = got ? Error{} : course->Meant(got.error());
    // Both refuse: it is the input. Only what production can answer counts against a candidate.
    if (course->harm && (got || IsOurs(error.code))) {
      counters_.candidate_failures.Add();
      TellFailure(course->request, course->request_id, *route.candidate, Role::kCanary,
                  course->harm->code);
    }
    if (!got) return Fail(course, *route.production, Role::kProduction, error);
    Deliver(course, route.production, Role::kProduction, *std::move(got));
  });
}

void Predictor::Fail(const std::shared_ptr<Course>& course, const LoadedVersion& version, Role role,
                     Error error) {
  counters_.refused.Add();
  if (IsOurs(error.code)) {
    TellFailure(course->request, course->request_id, version, role, error.code);
  }
  course->answered(std::move(error));
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
  if (!route.capture.on() || result.answers.empty()) return;
  const auto& rows = request.input.rows;
  if (rows && !result.version->model().rows_are_pictures()) return;
  const std::size_t width = rows ? rows->values.size() / result.answers.size() : 0;
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
    if (!captures_.Admits(rows ? width * sizeof(float) : request.input.pictures[i].size())) {
      continue;
    }
    CapturedPayload captured{.request_id = result.request_id,
                             .index = static_cast<std::uint32_t>(i),
                             .task = request.task,
                             .model_version_id = model.model_version_id,
                             .at = at,
                             .payload = {},
                             .sha256 = answer.payload_sha256,
                             .decision = *decision,
                             .class_name = model.classes[answer.class_index],
                             .confidence = double{answer.confidence()},
                             .metadata = request.metadata,
                             .row = {},
                             .version = {}};
    if (rows) {
      const auto row = rows->values.subspan(i * width, width);
      captured.row.assign(row.begin(), row.end());
      captured.version = result.version;
    } else {
      captured.payload = request.input.pictures[i];
    }
    result.follow_up.captures.push_back(std::move(captured));
  }
}

void Predictor::Deliver(const std::shared_ptr<Course>& course,
                        const std::shared_ptr<const LoadedVersion>& version, Role role,
                        std::vector<Answer> answers) {
  const PredictRequest& request = course->request;
  PredictResult result{.request_id = course->request_id,
                       .id_was_made = request.request_id.empty(),
                       .version = version,
                       .role = role,
                       .answers = std::move(answers),
                       .follow_up = {}};
  PredictionFact fact;
  fact.request_id = result.request_id;
  fact.at = clock_.Now();
  fact.model = &version->identity();
  fact.role = role;
  fact.variant = version->model().variant();
  fact.seconds = SecondsSince(request.arrived);
  fact.answers = result.answers;
  fact.metadata = &request.metadata;
  sink_.Tell(fact);

  const RoleCounters& counters = role == Role::kCanary ? counters_.canary : counters_.production;
  counters.predictions.Add(static_cast<double>(result.answers.size()));
  counters.seconds.Observe(fact.seconds);
  version->CountPredictions(result.answers.size());
  PlanShadow(request, *course->route, fact.at, result);
  PlanCaptures(request, *course->route, fact.at, result);
  course->answered(std::move(result));
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
