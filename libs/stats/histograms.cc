#include "tidewheel/stats/histograms.h"

#include <cmath>
#include <string>

namespace tidewheel::stats {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

double Total(std::span<const std::uint64_t> counts) {
  double total = 0;
  for (const std::uint64_t count : counts) total += static_cast<double>(count);
  return total;
}

Result<void> CheckPair(std::span<const std::uint64_t> reference,
                       std::span<const std::uint64_t> current) {
  if (reference.empty() && current.empty()) return Bad("histograms have no bins");
  if (reference.size() != current.size()) {
    return Bad("histograms of " + std::to_string(reference.size()) + " and " +
               std::to_string(current.size()) + " bins cannot be compared");
  }
  if (Total(reference) == 0) return Bad("the reference histogram is empty");
  if (Total(current) == 0) return Bad("the current histogram is empty");
  return {};
}

}  // namespace

Result<double> TotalVariation(std::span<const std::uint64_t> reference,
                              std::span<const std::uint64_t> current) {
  if (const auto good = CheckPair(reference, current); !good) return good.error();
  const double reference_total = Total(reference);
  const double current_total = Total(current);
  double sum = 0;
  for (std::size_t bin = 0; bin < reference.size(); ++bin) {
    sum += std::abs(static_cast<double>(reference[bin]) / reference_total -
                    static_cast<double>(current[bin]) / current_total);
  }
  return sum / 2;
}

Result<double> PopulationStabilityIndex(std::span<const std::uint64_t> reference,
                                        std::span<const std::uint64_t> current, double smoothing) {
  if (const auto good = CheckPair(reference, current); !good) return good.error();
  if (!(smoothing >= 0 && std::isfinite(smoothing))) {
    return Bad("smoothing is a number of 0 or more");
  }
  const double added = smoothing * static_cast<double>(reference.size());
  const double reference_total = Total(reference) + added;
  const double current_total = Total(current) + added;
  double index = 0;
  for (std::size_t bin = 0; bin < reference.size(); ++bin) {
    const double p = (static_cast<double>(reference[bin]) + smoothing) / reference_total;
    const double q = (static_cast<double>(current[bin]) + smoothing) / current_total;
    if (p == 0 && q == 0) continue;
    if (p == 0 || q == 0) {
      return Bad("bin " + std::to_string(bin) +
                 " is empty in one histogram only, which needs a smoothing above 0");
    }
    index += (q - p) * std::log(q / p);
  }
  return index;
}

}  // namespace tidewheel::stats
