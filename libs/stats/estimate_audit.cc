#include "tidewheel/stats/estimate_audit.h"

#include <cmath>

#include "tidewheel/stats/special.h"

namespace tidewheel::stats {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

bool InsideUnit(double value) { return value > 0 && value < 1; }

}  // namespace

std::string_view Name(EstimateVerdict verdict) {
  switch (verdict) {
    case EstimateVerdict::kTooFewChunks:
      return "too_few_chunks";
    case EstimateVerdict::kTrustworthy:
      return "trustworthy";
    case EstimateVerdict::kUntrustworthy:
      return "untrustworthy";
  }
  return "";
}

Result<EstimateAudit> AuditEstimates(std::span<const AuditedEstimate> chunks,
                                     const AuditOptions& options) {
  if (chunks.empty()) return Bad("an audit needs chunks with realized values");
  if (!InsideUnit(options.nominal_coverage) || !InsideUnit(options.significance) ||
      !InsideUnit(options.confidence)) {
    return Bad("coverage, significance and confidence are above 0 and below 1");
  }
  EstimateAudit audit;
  audit.chunks.assign(chunks.begin(), chunks.end());
  const auto count = static_cast<double>(chunks.size());
  std::uint64_t covered = 0;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const AuditedEstimate& chunk = chunks[i];
    if (!std::isfinite(chunk.estimated) || !std::isfinite(chunk.realized)) {
      return Bad("chunk " + std::to_string(i) + ": estimated or realized is not a finite number");
    }
    if (!(chunk.band.low <= chunk.band.high)) {
      return Bad("chunk " + std::to_string(i) + ": the band is not from low to high");
    }
    covered += chunk.covered() ? 1 : 0;
    audit.mean_error += chunk.error() / count;
    audit.mean_absolute_error += std::abs(chunk.error()) / count;
    if (std::abs(chunk.error()) > std::abs(chunks[audit.worst].error())) audit.worst = i;
  }
  audit.coverage = {static_cast<double>(covered) / count,
                    *WilsonInterval(covered, chunks.size(), options.confidence)};
  audit.p_value = BinomialCdf(static_cast<long long>(covered),
                              static_cast<long long>(chunks.size()), options.nominal_coverage);
  const std::string held = "the band held the realized value in " + std::to_string(covered) +
                           " of " + std::to_string(chunks.size()) + " chunks";
  if (audit.p_value < options.significance) {
    audit.verdict = EstimateVerdict::kUntrustworthy;
    audit.reason = held + ", significantly less often than it should";
  } else if (chunks.size() < options.min_chunks) {
    audit.verdict = EstimateVerdict::kTooFewChunks;
    audit.reason = held + "; a verdict needs " + std::to_string(options.min_chunks);
  } else {
    audit.verdict = EstimateVerdict::kTrustworthy;
    audit.reason = held;
  }
  return audit;
}

}  // namespace tidewheel::stats
