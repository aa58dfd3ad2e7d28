#pragma once

#include <cstdint>
#include <span>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"

namespace tidewheel::labels::internal {

/// kInvalidArgument: the shape does not fit the values, no rows, 2^32 rows or more, fewer than two
/// classes or 2^31 or more, another number of labels, or a label out of range.
template <typename T>
Result<void> CheckLabeled(MatrixView<T> probabilities, std::span<const std::int32_t> labels);

/// The same without a look at each label.
template <typename T>
Result<void> CheckShape(MatrixView<T> probabilities, std::span<const std::int32_t> labels);

/// What is wrong with the first label that is not in 0 .. classes.
Error LabelOutOfRange(std::span<const std::int32_t> labels, std::size_t classes);

}  // namespace tidewheel::labels::internal
