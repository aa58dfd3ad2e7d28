#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/stats/classification.h"
#include "tidewheel/stats/intervals.h"

namespace tidewheel::stats {

/// What was estimated for a chunk before its labels came, beside what they showed.
struct AuditedEstimate {
  double estimated = 0;
  Interval band;  // Of the estimate.
  double realized = 0;

  double error() const { return estimated - realized; }
  bool covered() const { return band.low <= realized && realized <= band.high; }
};

enum class EstimateVerdict {
  kTooFewChunks,   // Nothing against the estimates, but little for them.
  kTrustworthy,    // The band holds the realized value about as often as it should.
  kUntrustworthy,  // It does so significantly less often.
};

/// "too_few_chunks", "trustworthy", "untrustworthy".
std::string_view Name(EstimateVerdict verdict);

struct AuditOptions {
  double nominal_coverage = 0.9973002039367398;  // Of a band of 3 standard deviations.
  double significance = 0.01;                    // How rare a coverage as low has to be.
  std::size_t min_chunks = 6;                    // Fewer say "untrustworthy" or nothing.
  double confidence = 0.95;                      // Of the coverage's interval.
};

struct EstimateAudit {
  std::vector<AuditedEstimate> chunks;  // As given.
  Estimate coverage;                    // Share of chunks in their band, with Wilson's interval.
  double p_value = 1;                   // Of a coverage as low or lower, if it were nominal.
  double mean_error = 0;                // Estimated less realized.
  double mean_absolute_error = 0;
  std::size_t worst = 0;  // Index of the chunk with the largest absolute error, the first of them.
  EstimateVerdict verdict = EstimateVerdict::kTooFewChunks;
  std::string reason;
};

/// Holds estimates against what came true: exact binomial test that the band covers as often as it
/// says. Chunks are taken for independent. O(chunks).
/// kInvalidArgument: no chunks, a number that is not finite or a band whose ends are swapped (named
/// with the chunk), options out of range.
Result<EstimateAudit> AuditEstimates(std::span<const AuditedEstimate> chunks,
                                     const AuditOptions& options = {});

}  // namespace tidewheel::stats
