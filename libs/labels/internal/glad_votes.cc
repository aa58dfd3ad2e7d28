#include "tidewheel/labels/internal/glad_votes.h"

#include "tidewheel/labels/internal/vector_math.h"
#include "tidewheel/stats/internal/target_clones.h"

// Compiled with -O3 and -ffp-contract=off.
namespace tidewheel::labels::internal {

TIDEWHEEL_TARGET_CLONES void FitVotes(const double* __restrict x, const double* __restrict right,
                                      std::size_t votes, double* __restrict fit,
                                      double* __restrict sure) {
  for (std::size_t v = 0; v < votes; ++v) {
    const double away = x[v] > 0 ? -x[v] : x[v];
    const double e = ExpNotAbove0(away);
    const double share = 1 / (1 + e);
    fit[v] = right[v] * x[v] - ((x[v] > 0 ? x[v] : 0) + LogOfPositive(1 + e));
    sure[v] = x[v] > 0 ? share : e * share;
  }
}

}  // namespace tidewheel::labels::internal
