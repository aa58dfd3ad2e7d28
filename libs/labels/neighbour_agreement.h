#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::labels {

/// How much each item's label is backed by those around it: the share, in [0, 1], that its nearest
/// `neighbours` (Euclidean, each weighing one over its distance) with its own label have of the
/// weight of all of them. A label that stands alone among others is one to look at again, without a
/// model of the labels (edited nearest neighbours: Wilson 1972; in a network's embedding: Bahri,
/// Jiang and Gupta 2020).
///
/// `points`: one row of `width` numbers for each label. With fewer than `neighbours` other rows all
/// of them count. O(rows^2 (width + log neighbours)). kInvalidArgument: fewer than two rows, spans
/// that do not fit one another, `neighbours` or `width` 0, a number that is not finite.
Result<std::vector<double>> NeighbourAgreement(std::span<const float> points, std::size_t width,
                                               std::span<const std::int32_t> labels,
                                               std::size_t neighbours);

}  // namespace tidewheel::labels
