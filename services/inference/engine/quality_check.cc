#include "tidewheel/inference/engine/quality_check.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "tidewheel/vision/quality.h"

namespace tidewheel::inference {
namespace {

int Side(std::uint32_t pixels) {
  return static_cast<int>(std::min<std::uint32_t>(pixels, std::numeric_limits<int>::max()));
}

vision::QualityRules ToVision(const QualityRules& rules) {
  vision::QualityRules out;
  out.min_side = Side(rules.min_side);
  out.max_side = Side(rules.max_side);
  out.min_mean_luminance = rules.min_mean_luminance;
  out.max_mean_luminance = rules.max_mean_luminance;
  out.max_dark_share = rules.max_dark_share;
  out.max_bright_share = rules.max_bright_share;
  out.min_sharpness = rules.min_sharpness;
  return out;
}

}  // namespace

std::vector<std::string> QualityProblems(const vision::Measures& measures,
                                         std::size_t payload_bytes, const QualityRules& rules) {
  // What costs too much is set aside before anybody looks at it.
  const bool heavy = rules.max_payload_bytes > 0 && payload_bytes > rules.max_payload_bytes;
  const bool vast = rules.max_pixels > 0 &&
                    measures.width * measures.height > static_cast<double>(rules.max_pixels);
  if (heavy || vast) return {std::string(Name(vision::QualityProblem::kTooLarge))};

  std::vector<std::string> problems;
  for (const auto& issue : vision::Check(measures, ToVision(rules))) {
    problems.emplace_back(Name(issue.problem));
  }
  return problems;
}

}  // namespace tidewheel::inference
