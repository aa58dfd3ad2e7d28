#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/internal/samples.h"
#include "tidewheel/stats/internal/standardize.h"
#include "tidewheel/stats/internal/target_clones.h"
#include "tidewheel/stats/many_features.h"

namespace tidewheel::stats {
namespace {

constexpr std::size_t kLanes = 8;
constexpr std::size_t kMostPermutations = 1'000'000;

/// Sum of a[i] b[i] in eight lanes, the same for any width of the machine's registers.
TIDEWHEEL_TARGET_CLONES
double Dot(const double* a, const double* b, std::size_t size) {
  double lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  for (; i < size; ++i) sum += a[i] * b[i];
  return sum;
}

double SquaredDistance(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

/// Of an even number of values the mean of the two in the middle.
double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  const double upper = *middle;
  if (values.size() % 2 == 1) return upper;
  return (*std::max_element(values.begin(), middle) + upper) / 2;
}

/// Kernel values of all pairs, with what all divisions of the rows share.
struct Kernel {
  std::size_t rows;
  std::size_t reference_rows;
  std::vector<double> values;
  std::vector<double> row_sums;
  double sum;

  /// The unbiased statistic when the rows in `members` are the reference and `marks` are 1 there.
  double SquaredMmd(const std::vector<std::size_t>& members,
                    const std::vector<double>& marks) const {
    const auto n = static_cast<double>(reference_rows);
    const auto m = static_cast<double>(rows - reference_rows);
    double inside = 0;
    double touching = 0;
    for (const std::size_t row : members) {
      inside += Dot(values.data() + row * rows, marks.data(), rows);
      touching += row_sums[row];
    }
    const double across = touching - inside;
    const double outside = sum - 2 * across - inside;
    // The diagonal is 1 everywhere.
    return (inside - n) / (n * (n - 1)) + (outside - m) / (m * (m - 1)) - 2 * across / (n * m);
  }
};

}  // namespace

Result<MmdTest> MaximumMeanDiscrepancy(MatrixView<double> reference, MatrixView<double> current,
                                       const MmdOptions& options) {
  if (const auto good = internal::CheckMatrices(reference, current); !good) return good.error();
  const std::size_t n = reference.rows;
  const std::size_t rows = n + current.rows;
  if (n < 2 || current.rows < 2) {
    return internal::Invalid("the discrepancy needs 2 rows of each sample, got " +
                             std::to_string(n) + " and " + std::to_string(current.rows));
  }
  if (rows > kMostMmdRows) {
    return internal::Invalid(std::to_string(rows) + " rows are above the limit of " +
                             std::to_string(kMostMmdRows) +
                             " for all pairs: take a sample of them");
  }
  if (options.permutations == 0 || options.permutations > kMostPermutations) {
    return internal::Invalid("permutations are 1 to " + std::to_string(kMostPermutations));
  }
  if (!(options.squared_bandwidth >= 0 && std::isfinite(options.squared_bandwidth))) {
    return internal::Invalid("a squared bandwidth is a number of 0 or more");
  }

  std::vector<double> scaled;
  if (options.standardize) {
    const auto scale = internal::ColumnScale::Of(reference);
    if (!scale) return scale.error();
    scaled = scale->Applied(reference);
    const auto second = scale->Applied(current);
    scaled.insert(scaled.end(), second.begin(), second.end());
  } else {
    scaled.assign(reference.values.begin(), reference.values.end());
    scaled.insert(scaled.end(), current.values.begin(), current.values.end());
  }
  const MatrixView<double> all{scaled, rows, reference.columns};

  Kernel kernel{rows, n, std::vector<double>(rows * rows), std::vector<double>(rows), 0};
  std::vector<double> of_reference;
  of_reference.reserve(n * (n - 1) / 2);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const double distance = SquaredDistance(all.Row(i), all.Row(j));
      kernel.values[i * rows + j] = distance;
      if (i < n) of_reference.push_back(distance);
    }
  }
  MmdTest test;
  test.squared_bandwidth = options.squared_bandwidth;
  if (test.squared_bandwidth == 0) {
    test.squared_bandwidth = Median(std::move(of_reference));
    if (!(test.squared_bandwidth > 0)) {
      return internal::NotApplicable(
          "at least half of the reference's pairs of rows are equal, which leaves no bandwidth");
    }
  }
  if (!std::isfinite(test.squared_bandwidth)) {
    return Error{ErrorCode::kOutOfRange, "distances of rows are above the range of a double"};
  }
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const double value = std::exp(-kernel.values[i * rows + j] / (2 * test.squared_bandwidth));
      kernel.values[i * rows + j] = value;
      kernel.values[j * rows + i] = value;
    }
    kernel.values[i * rows + i] = 1;
  }
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < rows; ++j) kernel.row_sums[i] += kernel.values[i * rows + j];
    kernel.sum += kernel.row_sums[i];
  }

  std::vector<std::size_t> order(rows);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<std::size_t> members;
  std::vector<double> marks(rows);
  const auto statistic = [&] {
    // In the order of the rows, so that the same division always gives the same sum.
    members.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n));
    std::sort(members.begin(), members.end());
    std::fill(marks.begin(), marks.end(), 0.0);
    for (const std::size_t row : members) marks[row] = 1;
    return kernel.SquaredMmd(members, marks);
  };
  test.squared_mmd = statistic();
  Random random(options.seed);
  std::size_t as_extreme = 0;
  for (std::size_t permutation = 0; permutation < options.permutations; ++permutation) {
    for (std::size_t i = 0; i < n; ++i) std::swap(order[i], order[i + random.Below(rows - i)]);
    // Equal rows give equal divisions, whose sums differ by rounding only.
    as_extreme += statistic() >= test.squared_mmd - 1e-12;
  }
  test.p_value =
      static_cast<double>(as_extreme + 1) / static_cast<double>(options.permutations + 1);
  return test;
}

}  // namespace tidewheel::stats
