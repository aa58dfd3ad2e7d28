#include "tidewheel/inference/domain/predictor.h"

#include <algorithm>

#include "tidewheel/base/ids.h"

namespace tidewheel::inference {
namespace {

constexpr std::size_t kMaxIdBytes = 128;
constexpr std::size_t kMaxClassBytes = 128;
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
  if (request.pictures.empty() && !request.rows) return Bad("a request has pictures or a tensor");
  if (request.pictures.size() > Predictor::kMaxPictures) {
    return Bad("a request has at most " + std::to_string(Predictor::kMaxPictures) +
               " pictures, this one has " + std::to_string(request.pictures.size()));
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

}  // namespace

Result<PredictResult> Predictor::Answered(const PredictRequest& request) {
  if (const auto good = CheckRequest(request); !good) return good.error();
  PredictResult result;
  result.model = table_.Find(request.task);
  if (result.model == nullptr) {
    return Error{ErrorCode::kNotFound, "no model serves task " + request.task.substr(0, 80)};
  }
  auto answers = request.rows ? result.model->PredictRows(request.rows->shape, request.rows->values)
                              : result.model->PredictPictures(request.pictures);
  if (!answers) return answers.error();
  result.answers = *std::move(answers);
  result.request_id = request.request_id.empty() ? NewUuid() : request.request_id;
  return result;
}

Result<PredictResult> Predictor::Predict(const PredictRequest& request) {
  auto result = Answered(request);
  if (!result) {
    counters_.refused.Add();
    return result;
  }
  counters_.predictions.Add(static_cast<double>(result->answers.size()));
  table_.CountPredictions(request.task, result->answers.size());
  PredictionFact fact;
  fact.request_id = result->request_id;
  fact.at = clock_.Now();
  fact.model = &result->model->identity();
  fact.answers = result->answers;
  fact.metadata = &request.metadata;
  sink_.Tell(fact);
  return result;
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
    const auto model = table_.Find(outcome.task);
    if (model == nullptr)
      continue;  // A task that is served elsewhere: monitoring knows its classes.
    const auto& classes = model->identity().classes;
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
