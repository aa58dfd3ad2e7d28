#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"

namespace tidewheel::stats {

struct FocalLossOptions {
  double gamma = 2;                            // 0 or more; 0 is cross-entropy.
  std::span<const double> class_weights = {};  // One a class, 0 or more; empty: 1 each.
};

struct FocalLossReport {
  double mean = 0;
  std::vector<double> loss;      // Per row.
  std::vector<double> gradient;  // Rows x classes: of the mean, with respect to the logits.
};

/// The focal loss of a softmax over K logits (Lin, Goyal, Girshick, He, Dollar, ICCV 2017):
/// -w_y (1 - p_y)^gamma ln p_y, which all but ignores what is easy. For two classes by one logit z,
/// give the logits (0, z). Without cancellation: right to the last digits also where p_y nears 0
/// or 1. The mean is over the rows, not over their weights. O(rows x classes).
///
/// kInvalidArgument: no rows, fewer than 2 classes, a shape that does not fit, a logit that is not
/// finite (its row and column), a label that is not in 0..K-1 (its row), a gamma or weight that is
/// negative or not finite.
Result<FocalLossReport> FocalLoss(MatrixView<double> logits, std::span<const std::int32_t> labels,
                                  const FocalLossOptions& options = {});

}  // namespace tidewheel::stats
