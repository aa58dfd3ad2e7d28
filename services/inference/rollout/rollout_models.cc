#include "tidewheel/inference/rollout/rollout_models.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

namespace tidewheel::inference {
namespace {

/// The numbers of a tensor where they lie, or in `room` if they lie askew.
std::span<const float> Floats(const Tensor& tensor, std::vector<float>& room) {
  const std::size_t count = tensor.data.size() / sizeof(float);
  if (tensor.type != DataType::kFp32 || count == 0) return {};
  if (reinterpret_cast<std::uintptr_t>(tensor.data.data()) % alignof(float) == 0) {
    return {reinterpret_cast<const float*>(tensor.data.data()), count};
  }
  room.resize(count);
  std::memcpy(room.data(), tensor.data.data(), count * sizeof(float));
  return room;
}

void AddIfMissing(const std::string& name, std::vector<std::string>& names) {
  if (name.empty() || std::find(names.begin(), names.end(), name) != names.end()) return;
  names.push_back(name);
}

const Tensor* FindTensor(const std::vector<Tensor>& tensors, const std::string& name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const Tensor& tensor) { return tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

/// A response as the answers of `model`.
Result<std::vector<Answer>> AnswersIn(const InferResponse& response, const ServedModel& model) {
  const OutputNames& names = *model.output_names();
  std::vector<float> probabilities_room;
  std::vector<float> embedding_room;
  const Tensor* const probabilities = FindTensor(response.outputs, names.probabilities);
  const Tensor* const embedding =
      names.embedding.empty() ? nullptr : FindTensor(response.outputs, names.embedding);
  if (probabilities == nullptr) {
    return Error{ErrorCode::kInternal, "the answer has no output " + names.probabilities};
  }
  return model.AnswersOf(
      Floats(*probabilities, probabilities_room),
      embedding != nullptr ? Floats(*embedding, embedding_room) : std::span<const float>());
}

}  // namespace

/// A request behind a rollout; what its doors gave it stays until it is answered.
struct RolloutModels::Call {
  InferRequest request{};
  std::size_t outputs = 0;     // That were asked for by name.
  bool may_fall_back = false;  // The request is needed once more when a candidate fails.
  Tensor input{};              // The first, for what follows the answer.
  std::shared_ptr<const void> owner{};
  std::vector<float> room{};
  InferResponse response{};
  Answered answered{};
};

void RolloutModels::Infer(InferRequest request, Answered answered) {
  auto route = request.model_version.empty() ? table_.Find(request.model_name) : nullptr;
  if (route == nullptr || route->production->model().output_names() == nullptr) {
    return models_.Infer(std::move(request), std::move(answered));
  }
  const auto call = std::make_shared<Call>();
  PredictRequest prediction{.task = request.model_name,
                            .request_id = request.id,
                            .routing_key = request.routing_key,
                            .input = {},
                            .metadata = {},
                            .terms = {request.deadline, request.cancelled},
                            .arrived = request.arrived};
  for (const auto& [name, value] : request.parameters) {
    if (const auto* const text = std::get_if<std::string>(&value)) {
      prediction.metadata.emplace(name, *text);
    }
  }
  if (!request.inputs.empty()) call->input = request.inputs.front();
  call->owner = request.owner;
  prediction.input.rows = Rows{call->input.shape, Floats(call->input, call->room)};
  call->outputs = request.outputs.size();
  call->may_fall_back = route->has_canary();
  call->request = std::move(request);
  call->answered = std::move(answered);

  under_way_.Begin();
  predictor_.Predict(
      std::move(prediction), std::move(route),
      [this, call](const LoadedVersion& version, ServedModel::Answered asked) {
        Ask(call, version, std::move(asked));
      },
      [this, call](Result<PredictResult> result) {
        if (result) {
          InferResponse& response = call->response;
          response.parameters["role"] = std::string(Name(result->role));
          // Outcomes name the prediction by it.
          if (result->id_was_made) response.parameters["request_id"] = result->request_id;
          call->answered(std::move(response));
          predictor_.AfterAnswer(std::move(result->follow_up));
        } else {
          call->answered(result.error());
        }
        under_way_.End();
      });
}

void RolloutModels::Ask(const std::shared_ptr<Call>& call, const LoadedVersion& version,
                        ServedModel::Answered asked) {
  const ServedModel& model = version.model();
  const OutputNames* const names = model.output_names();
  if (names == nullptr) {
    return asked(Error{ErrorCode::kInternal, "the version is no model of this process's server"});
  }
  InferRequest request = call->may_fall_back ? call->request : std::move(call->request);
  request.model_version = std::to_string(model.identity().model_version);
  if (call->outputs > 0) {
    AddIfMissing(names->probabilities, request.outputs);
    AddIfMissing(names->embedding, request.outputs);
  }
  // Whoever holds `asked` holds the version.
  models_.Infer(std::move(request),
                [call, &model, asked = std::move(asked)](Result<InferResponse> response) {
                  if (!response) return asked(response.error());
                  auto answers = AnswersIn(*response, model);
                  if (answers) {
                    // Only what was asked for goes out: what was added stands behind it.
                    if (call->outputs > 0) response->outputs.resize(call->outputs);
                    call->response = *std::move(response);
                  }
                  asked(std::move(answers));
                });
}

}  // namespace tidewheel::inference
