// What two profiles over the same grids say of each other.
#include <algorithm>
#include <cmath>

#include "tidewheel/stats/distances.h"
#include "tidewheel/stats/drift_profile.h"
#include "tidewheel/stats/histograms.h"
#include "tidewheel/stats/internal/samples.h"

namespace tidewheel::stats {
namespace {

double Share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// The area under |d| over one bin, d going straight from a to b.
double Area(double a, double b, double width) {
  if ((a >= 0) == (b >= 0)) return (std::abs(a) + std::abs(b)) / 2 * width;
  return (a * a + b * b) / (2 * (std::abs(a) + std::abs(b))) * width;
}

void CompareGrids(const DriftProfile::Column& reference, const DriftProfile::Column& current,
                  ColumnDrift& drift) {
  const double per_reference = 1 / static_cast<double>(reference.moments.count());
  const double per_current = 1 / static_cast<double>(current.moments.count());
  const std::size_t slots = reference.slots.size();
  // The two distribution functions at the grid's lines; nothing is rounded before the division.
  std::uint64_t below_reference = 0;
  std::uint64_t below_current = 0;
  double f = 0;
  double g = 0;
  double area = 0;
  double at_least = 0;
  double at_most = 0;
  for (std::size_t slot = 0; slot < slots; ++slot) {
    below_reference += reference.slots[slot];
    below_current += current.slots[slot];
    const double f_next = static_cast<double>(below_reference) * per_reference;
    const double g_next = static_cast<double>(below_current) * per_current;
    at_least = std::max(at_least, std::abs(f_next - g_next));
    at_most = std::max(at_most, std::max(f_next - g, g_next - f));
    const bool inside = slot > 0 && slot + 1 < slots;
    if (inside) area += Area(f - g, f_next - g_next, reference.width);
    f = f_next;
    g = g_next;
  }
  drift.ks_at_least = std::min(at_least, 1.0);
  drift.ks_at_most = std::min(at_most, 1.0);

  // Outside the grid the mean excesses are known, not where the functions cross: the area between
  // them is at least the difference of the excesses and at most their sum.
  const double below_f = reference.below * per_reference;
  const double below_g = current.below * per_current;
  const double above_f = reference.above * per_reference;
  const double above_g = current.above * per_current;
  drift.wasserstein = area + std::abs(below_f - below_g) + std::abs(above_f - above_g);
  // Inside a bin each function is off a straight line by at most its share of values, on average
  // by half of that.
  const double inside_f =
      1 - Share(reference.slots.front() + reference.slots.back(), reference.moments.count());
  const double inside_g =
      1 - Share(current.slots.front() + current.slots.back(), current.moments.count());
  drift.wasserstein_error = reference.width * (inside_f + inside_g) / 2 +
                            2 * std::min(below_f, below_g) + 2 * std::min(above_f, above_g);
}

Result<ColumnDrift> CompareColumns(std::size_t index, const DriftProfile::Column& reference,
                                   const DriftProfile::Column& current) {
  for (const auto* side : {&reference, &current}) {
    if (side->moments.count() > 0 && reference.width > 0) continue;
    return internal::NotApplicable("column " + std::to_string(index) + " of the " +
                                   (side == &reference ? "reference" : "current window") +
                                   " has no value");
  }
  ColumnDrift drift;
  drift.missing_share_reference =
      Share(reference.moments.missing(), reference.moments.missing() + reference.moments.count());
  drift.missing_share_current =
      Share(current.moments.missing(), current.moments.missing() + current.moments.count());

  const auto expected = reference.Bins();
  const auto found = current.Bins();
  const auto psi = PopulationStabilityIndex(expected, found);
  if (!psi) return psi.error();
  drift.psi = *psi;
  const auto distance = JensenShannonDistance(expected, found);
  if (!distance) return distance.error();
  drift.jensen_shannon = *distance;

  CompareGrids(reference, current, drift);
  const auto spread = reference.moments.StandardDeviation();
  if (spread && *spread > 0) drift.scaled_wasserstein = drift.wasserstein / *spread;
  return drift;
}

}  // namespace

Result<std::vector<Result<ColumnDrift>>> CompareProfiles(const DriftProfile& reference,
                                                         const DriftProfile& current) {
  const auto& a = reference.columns();
  const auto& b = current.columns();
  if (a.size() != b.size()) {
    return internal::Invalid("profiles of " + std::to_string(a.size()) + " and " +
                             std::to_string(b.size()) + " columns cannot be compared");
  }
  std::vector<Result<ColumnDrift>> drifts;
  drifts.reserve(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].low != b[i].low || a[i].width != b[i].width || a[i].lines != b[i].lines) {
      return internal::Invalid("column " + std::to_string(i) +
                               " of the profiles has different grids");
    }
    drifts.push_back(CompareColumns(i, a[i], b[i]));
  }
  return drifts;
}

}  // namespace tidewheel::stats
