#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/labels/confident_joint.h"

namespace tidewheel::labels {

/// How given labels and true classes go together, as the confident joint has it. Matrices are
/// classes x classes, row by row.
struct LabelNoise {
  std::size_t classes = 0;
  std::vector<double> joint;          // [given][true]: share of the examples; sums to 1.
  std::vector<double> noise;          // [given][true]: P(given | true); columns sum to 1.
  std::vector<double> inverse_noise;  // [true][given]: P(true | given); columns sum to 1.
  std::vector<double> true_share;     // P(true).
};

/// The noise of the calibrated joint (Northcutt, Jiang, Chuang, JAIR 2021). A class that no example
/// is given, or that none truly has, is taken as never confused: its column is that of the
/// identity. kInvalidArgument: no classes, or more than 4,096. O(classes^2).
Result<LabelNoise> EstimateLabelNoise(const ConfidentJoint& joint);

/// The share of wrong labels, and where it lies.
struct LabelErrorRate {
  double rate = 0;
  double low = 0;
  double high = 1;
};

/// The calibrated joint's share off the diagonal, with an interval at `confidence` in (0, 1) for
/// what chance does to the counts: the delta method over given classes (in the variance each
/// class's share of votes off the diagonal is smoothed by half a vote), on the beta distribution of
/// that mean and variance. The thresholds count as known, and what the model cannot see stays
/// unseen: see BootstrapErrorRate and a validated sample. kInvalidArgument: no examples or another
/// confidence. O(cells).
Result<LabelErrorRate> EstimateErrorRate(const ConfidentJoint& joint, double confidence = 0.95);

struct LabelErrorBootstrapOptions {
  std::uint32_t replicates = 200;
  double confidence = 0.95;
  std::uint64_t seed = 1;
  VoteRule votes = VoteRule::kLargestConfident;
  std::uint32_t threads = 1;
};

/// The same rate with the percentile interval of seeded resamples of the examples (Efron 1979), the
/// thresholds learned anew in each; the result does not depend on `threads`. Errors as
/// LabelErrorScan::Read; kInvalidArgument also for fewer than 20 replicates or a confidence outside
/// (0, 1). O(replicates x N x K) time, O(N)
/// memory a thread.
template <typename T>
Result<LabelErrorRate> BootstrapErrorRate(MatrixView<T> probabilities,
                                          std::span<const std::int32_t> labels,
                                          const LabelErrorBootstrapOptions& options = {});

extern template Result<LabelErrorRate> BootstrapErrorRate(MatrixView<float>,
                                                          std::span<const std::int32_t>,
                                                          const LabelErrorBootstrapOptions&);
extern template Result<LabelErrorRate> BootstrapErrorRate(MatrixView<double>,
                                                          std::span<const std::int32_t>,
                                                          const LabelErrorBootstrapOptions&);

}  // namespace tidewheel::labels
