#include "tidewheel/inference/api/convert.h"

#include <bit>

#include "tidewheel/rpc/time.h"

namespace tidewheel::inference {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors travel little-endian");

Result<Rows> RowsFrom(const v1::Tensor& tensor) {
  const std::string& bytes = tensor.data();
  if (bytes.size() % sizeof(float) != 0 ||
      reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(float) != 0) {
    return Error{ErrorCode::kInvalidArgument, "tensor has " + std::to_string(bytes.size()) +
                                                  " bytes, which is not a number of 32-bit floats"};
  }
  return Rows{{tensor.shape().begin(), tensor.shape().end()},
              {reinterpret_cast<const float*>(bytes.data()), bytes.size() / sizeof(float)}};
}

}  // namespace

Result<PredictRequest> FromProto(const v1::PredictRequest& request) {
  PredictRequest out;
  out.task = request.task();
  out.request_id = request.request_id();
  out.routing_key = request.routing_key();
  for (const auto& payload : request.pictures().payloads()) out.input.pictures.push_back(payload);
  if (request.has_tensor()) {
    auto rows = RowsFrom(request.tensor());
    if (!rows) return rows.error();
    out.input.rows = *std::move(rows);
  }
  out.metadata = {request.metadata().begin(), request.metadata().end()};
  return out;
}

void ToProto(const PredictResult& result, v1::PredictResponse* response) {
  const ModelIdentity& model = result.version->identity();
  response->set_request_id(result.request_id);
  response->set_model_version_id(model.model_version_id);
  response->set_model_version(model.model_version);
  response->set_role(std::string(Name(result.role)));
  response->set_variant(std::string(result.version->model().variant()));
  for (const auto& name : model.classes) response->add_classes(name);
  for (const Answer& answer : result.answers) {
    auto* prediction = response->add_predictions();
    prediction->set_class_name(model.classes[answer.class_index]);
    prediction->set_confidence(answer.confidence());
    prediction->mutable_probabilities()->Add(answer.probabilities.begin(),
                                             answer.probabilities.end());
  }
}

Result<std::vector<OutcomeFact>> FromProto(const v1::RecordOutcomesRequest& request,
                                           Timestamp now) {
  std::vector<OutcomeFact> outcomes;
  for (const auto& outcome : request.outcomes()) {
    Timestamp at = now;
    if (outcome.has_observed_at()) {
      const auto given = rpc::FromProto(outcome.observed_at());
      if (!given) {
        return Prefixed("outcome " + std::to_string(outcomes.size()) + ": observed_at: ",
                        given.error());
      }
      at = *given;
    }
    outcomes.push_back({outcome.request_id(), request.task(), outcome.index(), outcome.class_name(),
                        outcome.source(), at});
  }
  return outcomes;
}

v1::LoadedModel ToProto(const LoadedModel& model) {
  v1::LoadedModel out;
  out.set_task(model.identity.task);
  out.set_model_version_id(model.identity.model_version_id);
  out.set_model_version(model.identity.model_version);
  out.set_package_digest(model.identity.package_digest);
  if (model.loaded_at) *out.mutable_loaded_at() = rpc::ToProto(*model.loaded_at);
  out.set_predictions(model.predictions);
  out.set_problem(model.problem);
  out.set_role(std::string(Name(model.role)));
  out.set_share(model.share);
  out.set_variant(model.variant);
  return out;
}

}  // namespace tidewheel::inference
