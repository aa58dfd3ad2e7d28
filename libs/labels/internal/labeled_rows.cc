#include "tidewheel/labels/internal/labeled_rows.h"

#include <cstddef>
#include <limits>
#include <string>

namespace tidewheel::labels::internal {

template <typename T>
Result<void> CheckShape(MatrixView<T> probabilities, std::span<const std::int32_t> labels) {
  const auto refused = [](std::string message) {
    return Error{ErrorCode::kInvalidArgument, std::move(message)};
  };
  if (probabilities.rows == 0) return refused("no examples");
  if (!probabilities.Fits()) {
    return refused(std::to_string(probabilities.values.size()) + " probabilities are not " +
                   std::to_string(probabilities.rows) + " rows of " +
                   std::to_string(probabilities.columns) + " classes");
  }
  if (probabilities.columns < 2) {
    return refused("probabilities of " + std::to_string(probabilities.columns) +
                   " class; label errors need at least two");
  }
  if (probabilities.columns > std::numeric_limits<std::int32_t>::max() ||
      probabilities.rows > std::numeric_limits<std::uint32_t>::max()) {
    return refused("more than 2^31 - 1 classes or 2^32 - 1 examples");
  }
  if (labels.size() != probabilities.rows) {
    return refused(std::to_string(labels.size()) + " labels for " +
                   std::to_string(probabilities.rows) + " rows of probabilities");
  }
  return {};
}

Error LabelOutOfRange(std::span<const std::int32_t> labels, std::size_t classes) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] >= 0 && static_cast<std::size_t>(labels[i]) < classes) continue;
    return {ErrorCode::kInvalidArgument, "row " + std::to_string(i) + ": label " +
                                             std::to_string(labels[i]) + " is not one of " +
                                             std::to_string(classes) + " classes from 0"};
  }
  return {ErrorCode::kInternal, "every label is in range"};
}

template <typename T>
Result<void> CheckLabeled(MatrixView<T> probabilities, std::span<const std::int32_t> labels) {
  if (const auto shape = CheckShape(probabilities, labels); !shape) return shape.error();
  for (const std::int32_t label : labels) {
    if (label < 0 || static_cast<std::size_t>(label) >= probabilities.columns) {
      return LabelOutOfRange(labels, probabilities.columns);
    }
  }
  return {};
}

template Result<void> CheckShape(MatrixView<float>, std::span<const std::int32_t>);
template Result<void> CheckShape(MatrixView<double>, std::span<const std::int32_t>);
template Result<void> CheckLabeled(MatrixView<float>, std::span<const std::int32_t>);
template Result<void> CheckLabeled(MatrixView<double>, std::span<const std::int32_t>);

}  // namespace tidewheel::labels::internal
