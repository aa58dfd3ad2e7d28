#include "tidewheel/inference/api/explain_convert.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

namespace tidewheel::inference {
namespace {

Result<NumberRows> NumbersFrom(const v1::Tensor& tensor, const std::string& name) {
  const std::string& bytes = tensor.data();
  if (bytes.size() % sizeof(float) != 0) {
    return Error{ErrorCode::kInvalidArgument, name + " has " + std::to_string(bytes.size()) +
                                                  " bytes, which is not a number of 32-bit floats"};
  }
  NumberRows rows{{tensor.shape().begin(), tensor.shape().end()},
                  std::vector<float>(bytes.size() / sizeof(float))};
  if (!bytes.empty()) std::memcpy(rows.values.data(), bytes.data(), bytes.size());
  return rows;
}

ExplanationMethod MethodOf(v1::ExplanationMethod method) {
  switch (method) {
    case v1::EXPLANATION_METHOD_LIME:
      return ExplanationMethod::kLime;
    case v1::EXPLANATION_METHOD_INTEGRATED_GRADIENTS:
      return ExplanationMethod::kIntegratedGradients;
    case v1::EXPLANATION_METHOD_OCCLUSION:
      return ExplanationMethod::kOcclusion;
    default:
      return ExplanationMethod::kUsual;
  }
}

v1::ExplanationMethod MethodOf(ExplanationMethod method) {
  switch (method) {
    case ExplanationMethod::kIntegratedGradients:
      return v1::EXPLANATION_METHOD_INTEGRATED_GRADIENTS;
    case ExplanationMethod::kOcclusion:
      return v1::EXPLANATION_METHOD_OCCLUSION;
    default:
      return v1::EXPLANATION_METHOD_LIME;
  }
}

}  // namespace

Result<ExplainRequest> FromProto(const v1::ExplainRequest& request) {
  ExplainRequest out;
  out.task = request.task();
  out.picture = request.picture();
  if (request.has_row()) {
    auto row = NumbersFrom(request.row(), "the row");
    if (!row.ok()) return row.error();
    out.row = *std::move(row);
  }
  if (request.has_background()) {
    auto background = NumbersFrom(request.background(), "the background");
    if (!background.ok()) return background.error();
    out.background = *std::move(background);
  }
  if (!v1::ExplanationMethod_IsValid(request.method())) {
    return Error{ErrorCode::kInvalidArgument,
                 "there is no method " + std::to_string(static_cast<int>(request.method()))};
  }
  out.method = MethodOf(request.method());
  out.class_name = request.class_name();
  const double seconds = request.time_seconds();
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e6) {
    return Error{ErrorCode::kInvalidArgument, "time_seconds must be from 0 to 30"};
  }
  if (seconds > 0) {
    out.time = std::chrono::milliseconds(std::max<std::int64_t>(1, std::llround(seconds * 1e3)));
  }
  out.samples = request.samples();
  out.most = request.most_parts();
  if (request.seed() != 0) out.seed = request.seed();
  return out;
}

void ToProto(const Explanation& explanation, v1::ExplainResponse* response) {
  response->set_model_version_id(explanation.model_version_id);
  response->set_model_version(explanation.model_version);
  response->set_class_name(explanation.class_name);
  response->set_probability(explanation.probability);
  response->set_method(MethodOf(explanation.method));
  for (const PartWeight& each : explanation.parts) {
    auto* part = response->add_parts();
    part->set_part(static_cast<std::uint32_t>(each.part));
    part->set_weight(each.weight);
    if (each.standard_error) part->set_standard_error(*each.standard_error);
  }
  response->set_height(static_cast<std::uint32_t>(explanation.height));
  response->set_width(static_cast<std::uint32_t>(explanation.width));
  response->mutable_regions()->Add(explanation.regions.begin(), explanation.regions.end());
  response->mutable_map()->Add(explanation.map.begin(), explanation.map.end());
  if (explanation.r_squared) response->set_r_squared(*explanation.r_squared);
  if (explanation.gap) response->set_gap(*explanation.gap);
  response->set_asked(static_cast<std::uint32_t>(explanation.asked));
  response->set_possible(static_cast<std::uint32_t>(explanation.possible));
  response->set_complete(explanation.complete);
  response->set_took_seconds(std::chrono::duration<double>(explanation.took).count());
}

}  // namespace tidewheel::inference
