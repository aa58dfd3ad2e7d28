#include "tidewheel/inference/explaining/explanation.h"

#include <cmath>

namespace tidewheel::inference {
namespace {

Error Invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

Result<void> CheckRows(const std::string& name, const NumberRows& rows, std::size_t most) {
  std::size_t numbers = 1;
  for (const std::int64_t size : rows.shape) {
    if (size < 1 || static_cast<std::size_t>(size) > (std::size_t{1} << 28) / numbers) {
      return Invalid(name + " has a size that is not from 1 to 2^28");
    }
    numbers *= static_cast<std::size_t>(size);
  }
  if (rows.shape.empty() || numbers != rows.values.size()) {
    return Invalid(name + " has " + std::to_string(rows.values.size()) +
                   " numbers, its shape needs " + std::to_string(numbers));
  }
  if (static_cast<std::size_t>(rows.shape[0]) > most) {
    return Invalid(name + " has " + std::to_string(rows.shape[0]) + " rows, at most " +
                   std::to_string(most) + " are taken");
  }
  for (std::size_t i = 0; i < numbers; ++i) {
    if (!std::isfinite(rows.values[i])) {
      return Invalid("number " + std::to_string(i) + " of " + name + " is not finite");
    }
  }
  return {};
}

}  // namespace

std::string_view Name(ExplanationMethod method) {
  switch (method) {
    case ExplanationMethod::kUsual:
      return "usual";
    case ExplanationMethod::kLime:
      return "lime";
    case ExplanationMethod::kIntegratedGradients:
      return "integrated_gradients";
    case ExplanationMethod::kOcclusion:
      return "occlusion";
  }
  return "usual";
}

Result<void> Check(const ExplainRequest& request) {
  if (request.task.empty()) return Invalid("task is empty");
  if (request.picture.empty() == !request.row.has_value()) {
    return Invalid("an explanation needs a picture or a row, and not both");
  }
  if (request.row) {
    if (auto checked = CheckRows("the row", *request.row, 1); !checked.ok()) return checked;
  }
  if (request.background) {
    if (auto checked = CheckRows("the background", *request.background,
                                 ExplanationLimits::kMostBackgroundRows);
        !checked.ok()) {
      return checked;
    }
  }
  if (request.time.count() < 1 || request.time > ExplanationLimits::kMostTime) {
    return Invalid("the time of an explanation is from 1 ms to 30 s");
  }
  if (request.samples > ExplanationLimits::kMostSamples) {
    return Invalid("at most 20000 changed inputs are asked, not " +
                   std::to_string(request.samples));
  }
  return {};
}

}  // namespace tidewheel::inference
