#include "tidewheel/stats/distances.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <vector>

#include "tidewheel/stats/internal/samples.h"

namespace tidewheel::stats {
namespace {

double Total(std::span<const std::uint64_t> counts) {
  double total = 0;
  for (const std::uint64_t count : counts) total += static_cast<double>(count);
  return total;
}

Result<void> CheckHistograms(std::span<const std::uint64_t> reference,
                             std::span<const std::uint64_t> current) {
  if (reference.empty() && current.empty()) return internal::Invalid("histograms have no bins");
  if (reference.size() != current.size()) {
    return internal::Invalid("histograms of " + std::to_string(reference.size()) + " and " +
                             std::to_string(current.size()) + " bins cannot be compared");
  }
  if (Total(reference) == 0) return internal::Invalid("the reference histogram is empty");
  if (Total(current) == 0) return internal::Invalid("the current histogram is empty");
  return {};
}

template <typename T>
Result<double> Area(std::span<const T> reference, std::span<const T> current) {
  if (const auto good = internal::CheckSamples(reference, current); !good) return good.error();
  const auto a = internal::SortedWithGuard(reference);
  const auto b = internal::SortedWithGuard(current);
  const std::size_t n = reference.size();
  const std::size_t m = current.size();
  const double up = 1 / static_cast<double>(n);
  const double down = 1 / static_cast<double>(m);
  // One value at a time, without a branch on which sample it is from: that would be a coin toss.
  // Equal values meet a width of 0 between them.
  std::size_t i = 0;
  std::size_t j = 0;
  double area = 0;
  double previous = static_cast<double>(std::min(a[0], b[0]));
  while (i + j < n + m) {
    const T x = a[i];
    const T y = b[j];
    const bool of_reference = x <= y;
    const double value = static_cast<double>(of_reference ? x : y);
    const double height = static_cast<double>(i) * up - static_cast<double>(j) * down;
    area += std::abs(height) * (value - previous);
    previous = value;
    i += of_reference;
    j += !of_reference;
  }
  if (!std::isfinite(area)) {
    return Error{ErrorCode::kOutOfRange, "the distance is above the range of a double"};
  }
  return area;
}

template <typename T>
Result<double> ScaledArea(std::span<const T> reference, std::span<const T> current) {
  const auto area = Area(reference, current);
  if (!area) return area;
  const auto n = static_cast<double>(reference.size());
  double mean = 0;
  for (const T value : reference) mean += static_cast<double>(value) / n;
  double squares = 0;
  double rest = 0;
  for (const T value : reference) {
    const double difference = static_cast<double>(value) - mean;
    squares += difference * difference / n;
    rest += difference / n;
  }
  // What the rounding of the mean has left over (Chan, Golub, LeVeque 1983).
  const double deviation = std::sqrt(std::max(0.0, squares - rest * rest));
  const auto [smallest, largest] = std::minmax_element(reference.begin(), reference.end());
  if (*smallest == *largest || deviation == 0) {
    return internal::NotApplicable("the reference has one value only, so no standard deviation");
  }
  if (!std::isfinite(deviation)) {
    return Error{ErrorCode::kOutOfRange,
                 "the reference's standard deviation is above the range of a double"};
  }
  return *area / deviation;
}

/// p ln(p / middle), and 0 for p = 0.
double Part(double p, double middle) { return p > 0 ? p * std::log(p / middle) : 0; }

}  // namespace

Result<double> Wasserstein(std::span<const double> reference, std::span<const double> current) {
  return Area(reference, current);
}

Result<double> Wasserstein(std::span<const float> reference, std::span<const float> current) {
  return Area(reference, current);
}

Result<double> ScaledWasserstein(std::span<const double> reference,
                                 std::span<const double> current) {
  return ScaledArea(reference, current);
}

Result<double> ScaledWasserstein(std::span<const float> reference, std::span<const float> current) {
  return ScaledArea(reference, current);
}

Result<double> JensenShannonDivergence(std::span<const std::uint64_t> reference,
                                       std::span<const std::uint64_t> current, double base) {
  if (const auto good = CheckHistograms(reference, current); !good) return good.error();
  if (!(base > 1 && std::isfinite(base))) {
    return internal::Invalid("the base of a logarithm is a number above 1");
  }
  const double reference_total = Total(reference);
  const double current_total = Total(current);
  double nats = 0;
  for (std::size_t bin = 0; bin < reference.size(); ++bin) {
    const double p = static_cast<double>(reference[bin]) / reference_total;
    const double q = static_cast<double>(current[bin]) / current_total;
    const double middle = (p + q) / 2;
    nats += (Part(p, middle) + Part(q, middle)) / 2;
  }
  return std::clamp(nats, 0.0, std::log(2.0)) / std::log(base);
}

Result<double> JensenShannonDistance(std::span<const std::uint64_t> reference,
                                     std::span<const std::uint64_t> current, double base) {
  const auto divergence = JensenShannonDivergence(reference, current, base);
  if (!divergence) return divergence;
  return std::sqrt(*divergence);
}

Result<double> Hellinger(std::span<const std::uint64_t> reference,
                         std::span<const std::uint64_t> current) {
  if (const auto good = CheckHistograms(reference, current); !good) return good.error();
  const double reference_total = Total(reference);
  const double current_total = Total(current);
  double squares = 0;
  for (std::size_t bin = 0; bin < reference.size(); ++bin) {
    const double difference = std::sqrt(static_cast<double>(reference[bin]) / reference_total) -
                              std::sqrt(static_cast<double>(current[bin]) / current_total);
    squares += difference * difference;
  }
  return std::min(1.0, std::sqrt(squares / 2));
}

}  // namespace tidewheel::stats
