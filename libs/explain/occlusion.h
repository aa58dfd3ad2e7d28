#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/explain/budget.h"
#include "tidewheel/explain/superpixels.h"

namespace tidewheel::explain {

struct OcclusionOptions {
  std::size_t patch = 4;   // Height and width of the square that is covered.
  std::size_t stride = 2;  // From one square to the next; at most `patch`.
  float fill = 0;          // What covers, in every channel.
};

struct OcclusionExplanation {
  /// Height x width: by how much covering a pixel lowers the answer, the mean of the squares over
  /// it; NaN where none of those asked lies.
  std::vector<double> drop;
  double answer = 0;         // To the picture as it is.
  double highest_drop = 0;   // Of one square.
  std::size_t squares = 0;   // Asked.
  std::size_t possible = 0;  // That there are.
  bool complete = true;      // All squares were asked; then it is exact for these options.
};

/// What covering each place does to the answer (Zeiler, Fergus 2014). Squares are asked in an order
/// that spreads over the picture, so that a budget that ends early leaves a coarser map, not half a
/// one. kInvalidArgument: sizes that do not fit, a patch of 0 or larger than the picture, a stride
/// of 0 or above the patch. kDeadlineExceeded: no square could be asked.
Result<OcclusionExplanation> ExplainByOcclusion(const Planes& picture, const AnswerRows& model,
                                                const OcclusionOptions& options,
                                                const Budget& budget);

}  // namespace tidewheel::explain
