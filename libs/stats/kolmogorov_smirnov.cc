#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <numbers>
#include <numeric>
#include <string>
#include <vector>

#include "tidewheel/stats/internal/samples.h"
#include "tidewheel/stats/internal/target_clones.h"
#include "tidewheel/stats/sort_numbers.h"
#include "tidewheel/stats/two_sample.h"

namespace tidewheel::stats {
namespace {

constexpr std::size_t kMostValues = std::size_t{1} << 29;
constexpr double kMostExactCells = 1e8;
/// From here on only the part around the largest difference is sorted.
constexpr std::size_t kCellsFrom = 1U << 15;

// ---------------------------------------------------------------------------------------------
// The statistic. Heights are whole numbers: the reference's function minus the current's, times
// n m / g, so that no rounding decides where the largest is.
// ---------------------------------------------------------------------------------------------

struct Steps {
  std::int64_t reference;  // Up, for each reference value: m / g.
  std::int64_t current;    // Down, for each current value: n / g.
};

Steps StepsOf(std::size_t n, std::size_t m) {
  const std::size_t divisor = std::gcd(n, m);
  return {static_cast<std::int64_t>(m / divisor), static_cast<std::int64_t>(n / divisor)};
}

template <typename T>
struct Peak {
  std::int64_t height = 0;  // Signed.
  T location = 0;
};

/// Walks two sorted runs, each followed by a value above all others, and keeps the peak. The values
/// of one kind before them are already in `height`.
template <typename T>
void Walk(const T* reference, std::size_t n, const T* current, std::size_t m, Steps steps,
          std::int64_t height, Peak<T>& peak) {
  std::size_t i = 0;
  std::size_t j = 0;
  T a = reference[0];
  T b = current[0];
  while (i + j < n + m) {
    const T value = a < b ? a : b;
    const bool up = a == value;
    const bool down = b == value;
    height += (up ? steps.reference : 0) - (down ? steps.current : 0);
    i += up;
    j += down;
    a = reference[i];
    b = current[j];
    const bool last_of_its_kind = a != value && b != value;
    if (last_of_its_kind && std::abs(height) > std::abs(peak.height)) peak = {height, value};
  }
}

struct Range {
  std::uint64_t low = ~std::uint64_t{0};
  std::uint64_t high = 0;
};

Range Joined(Range a, Range b) { return {std::min(a.low, b.low), std::max(a.high, b.high)}; }

// Ordered keys: whole numbers are compared in any width, and NaN and infinities stand at the ends.
#define TIDEWHEEL_KEY_RANGE(T)                                                \
  TIDEWHEEL_TARGET_CLONES Range KeyRange(const T* values, std::size_t size) { \
    OrderedKey<T> low = ~OrderedKey<T>{0};                                    \
    OrderedKey<T> high = 0;                                                   \
    for (std::size_t i = 0; i < size; ++i) {                                  \
      const OrderedKey<T> key = ToOrderedKey(values[i]);                      \
      low = key < low ? key : low;                                            \
      high = key > high ? key : high;                                         \
    }                                                                         \
    return size == 0 ? Range{} : Range{low, high};                            \
  }
TIDEWHEEL_KEY_RANGE(float)
TIDEWHEEL_KEY_RANGE(double)
#undef TIDEWHEEL_KEY_RANGE

constexpr int kIntervalBits = 11;
constexpr std::size_t kIntervals = std::size_t{1} << kIntervalBits;
constexpr std::size_t kCells = std::size_t{1} << 14;  // At most 2^16.
constexpr std::size_t kBlock = 2048;
constexpr std::size_t kSampled = 2048;

/// A monotone map of values onto cells that hold about equally many of them, whatever the
/// distribution: the range of the keys is cut into equal intervals, and each interval into as many
/// cells as a look at some values suggests. Whole numbers only, so that equal values share a cell
/// and a larger value is never in an earlier one.
template <typename T>
struct CellMap {
  OrderedKey<T> low;
  int shift;  // Brings the range of the keys to the top of its word.
  std::array<std::uint32_t, kIntervals> first;  // Cell of each interval.
  std::array<std::uint32_t, kIntervals> cells;  // How many it has.
};

struct Scaled {
  std::uint32_t interval;
  std::uint32_t within;  // 16 bits.
};

template <typename T>
inline Scaled Scale(T value, OrderedKey<T> low, int shift) {
  const auto distance = static_cast<OrderedKey<T>>(ToOrderedKey(value) - low) << shift;
  const auto word = static_cast<std::uint32_t>(distance >> (sizeof(T) * 8 - 32));
  return {word >> (32 - kIntervalBits), (word >> (16 - kIntervalBits)) & 0xFFFFU};
}

template <typename T>
CellMap<T> MapOf(std::span<const T> reference, std::span<const T> current, Range range) {
  using Key = OrderedKey<T>;
  CellMap<T> map;
  map.low = static_cast<Key>(range.low);
  map.shift = std::countl_zero(static_cast<Key>(range.high - range.low));
  map.cells.fill(0);
  std::uint32_t seen = 0;
  for (const auto values : {reference, current}) {
    const std::size_t stride = values.size() / kSampled + 1;
    for (std::size_t i = 0; i < values.size(); i += stride, ++seen) {
      ++map.cells[Scale(values[i], map.low, map.shift).interval];
    }
  }
  std::uint32_t next = 0;
  for (std::size_t i = 0; i < kIntervals; ++i) {
    map.first[i] = next;
    map.cells[i] = 1 + map.cells[i] * static_cast<std::uint32_t>(kCells - kIntervals) / seen;
    next += map.cells[i];
  }
  return map;
}

#define TIDEWHEEL_CELLS_OF(T)                                                                \
  TIDEWHEEL_TARGET_CLONES void CellsOf(const T* values, std::size_t size, OrderedKey<T> low, \
                                       int shift, const std::uint32_t* first,                \
                                       const std::uint32_t* cells, std::uint32_t* out) {     \
    for (std::size_t i = 0; i < size; ++i) {                                                 \
      const Scaled at = Scale(values[i], low, shift);                                        \
      out[i] = first[at.interval] + ((at.within * cells[at.interval]) >> 16);                \
    }                                                                                        \
  }
TIDEWHEEL_CELLS_OF(float)
TIDEWHEEL_CELLS_OF(double)
#undef TIDEWHEEL_CELLS_OF

/// Calls `visit(values, cells, size)` block by block.
template <typename T, typename Visit>
void VisitCells(std::span<const T> values, const CellMap<T>& map, Visit visit) {
  std::uint32_t cells[kBlock];
  for (std::size_t start = 0; start < values.size(); start += kBlock) {
    const std::size_t size = std::min(kBlock, values.size() - start);
    CellsOf(values.data() + start, size, map.low, map.shift, map.first.data(), map.cells.data(),
            cells);
    visit(values.data() + start, cells, size);
  }
}

/// A sample's values by cell.
struct CellCounts {
  std::vector<std::uint32_t> counts;  // Of each cell.
  std::vector<std::uint16_t> cells;   // Of each value.
};

template <typename T>
CellCounts CountCells(std::span<const T> values, const CellMap<T>& map) {
  CellCounts counted;
  counted.cells.resize(values.size());
  // Two tables, so that equal neighbours do not wait for each other.
  std::vector<std::uint32_t> counts(2 * kCells);
  std::uint32_t* even = counts.data();
  std::uint32_t* odd = counts.data() + kCells;
  std::uint16_t* kept = counted.cells.data();
  VisitCells(values, map, [&](const T*, const std::uint32_t* cells, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) kept[i] = static_cast<std::uint16_t>(cells[i]);
    kept += size;
    std::size_t i = 0;
    for (; i + 1 < size; i += 2) {
      ++even[cells[i]];
      ++odd[cells[i + 1]];
    }
    if (i < size) ++even[cells[i]];
  });
  for (std::size_t c = 0; c < kCells; ++c) even[c] += odd[c];
  counts.resize(kCells);
  counted.counts = std::move(counts);
  return counted;
}

/// The values of the wanted cells, cell by cell in order, with a guard after them.
template <typename T>
std::vector<T> Gather(std::span<const T> values, const CellCounts& counted,
                      const std::vector<std::uint8_t>& wanted) {
  std::vector<std::uint32_t> place(kCells);
  std::uint32_t expected = 0;
  for (std::size_t c = 0; c < kCells; ++c) {
    place[c] = expected;
    if (wanted[c] != 0) expected += counted.counts[c];
  }
  std::vector<T> gathered(std::size_t{expected} + 1);
  // First which values, without a branch; few are wanted as a rule.
  std::array<std::uint32_t, kBlock> found;
  for (std::size_t start = 0; start < values.size(); start += kBlock) {
    const std::size_t size = std::min(kBlock, values.size() - start);
    const std::uint16_t* cells = counted.cells.data() + start;
    std::size_t count = 0;
    for (std::size_t i = 0; i < size; ++i) {
      found[count] = static_cast<std::uint32_t>(i);
      count += wanted[cells[i]];
    }
    for (std::size_t k = 0; k < count; ++k) {
      gathered[place[cells[found[k]]]++] = values[start + found[k]];
    }
  }
  gathered[expected] = std::numeric_limits<T>::infinity();
  return gathered;
}

/// Keeps the peak of two samples. Counts both in the same cells: the height after a cell is known
/// then, and within a cell it cannot leave what its counts allow. Only cells that may hold the peak
/// are looked into, in the same way while they are large.
template <typename T>
void FindPeak(std::span<const T> reference, std::span<const T> current, Range range, Steps steps,
              std::int64_t height, Peak<T>& peak) {
  const CellMap<T> map = MapOf(reference, current, range);
  const CellCounts reference_cells = CountCells(reference, map);
  const CellCounts current_cells = CountCells(current, map);
  const auto& of_reference = reference_cells.counts;
  const auto& of_current = current_cells.counts;
  const auto change = [&](std::size_t c) {
    return of_reference[c] * steps.reference - of_current[c] * steps.current;
  };

  std::int64_t best = std::abs(peak.height);
  std::int64_t after = height;
  for (std::size_t c = 0; c < kCells; ++c) {
    after += change(c);
    best = std::max(best, std::abs(after));
  }

  std::vector<std::uint8_t> wanted(kCells);
  after = height;
  for (std::size_t c = 0; c < kCells; ++c) {
    const std::int64_t up = of_reference[c] * steps.reference;
    const std::int64_t down = of_current[c] * steps.current;
    // Without values of both kinds the extremes are at the cell's ends.
    std::int64_t bound = std::abs(after + up - down);
    if (up > 0 && down > 0) {
      bound = std::max({bound, std::abs(after + up), std::abs(after - down)});
    }
    wanted[c] = up + down > 0 && bound >= best;
    after += up - down;
  }

  auto a = Gather(reference, reference_cells, wanted);
  auto b = Gather(current, current_cells, wanted);
  after = height;
  std::size_t i = 0;
  std::size_t j = 0;
  for (std::size_t c = 0; c < kCells; ++c) {
    if (wanted[c] != 0) {
      const auto x = std::span<T>(a).subspan(i, of_reference[c]);
      const auto y = std::span<T>(b).subspan(j, of_current[c]);
      i += x.size();
      j += y.size();
      const Range inside = Joined(KeyRange(x.data(), x.size()), KeyRange(y.data(), y.size()));
      if (inside.low == inside.high) {
        if (std::abs(after + change(c)) > std::abs(peak.height)) {
          peak = {after + change(c), x.empty() ? y[0] : x[0]};
        }
      } else if (x.size() + y.size() >= kCellsFrom) {
        FindPeak<T>(x, y, inside, steps, after, peak);
      } else {
        SortNumbers(x);
        SortNumbers(y);
        // The next cell's values, or the guard, are above all of these.
        Walk(x.data(), x.size(), y.data(), y.size(), steps, after, peak);
      }
    }
    after += change(c);
  }
}

template <typename T>
Peak<T> PeakOf(std::span<const T> reference, std::span<const T> current, Range range) {
  const Steps steps = StepsOf(reference.size(), current.size());
  Peak<T> peak{0, FromOrderedKey<T>(static_cast<OrderedKey<T>>(range.low))};
  if (range.low == range.high) return peak;
  if (reference.size() + current.size() >= kCellsFrom) {
    FindPeak(reference, current, range, steps, 0, peak);
    return peak;
  }
  const auto a = internal::SortedWithGuard(reference);
  const auto b = internal::SortedWithGuard(current);
  Walk(a.data(), reference.size(), b.data(), current.size(), steps, 0, peak);
  return peak;
}

// ---------------------------------------------------------------------------------------------
// The p-value.
// ---------------------------------------------------------------------------------------------

/// next[k] = (index[k] before[k - 1] + (total - index[k]) before[k]) / total, each on its own.
TIDEWHEEL_TARGET_CLONES
void StepDiagonal(const double* before, const double* index, double total, std::size_t count,
                  double* next) {
  const double share = 1 / total;
  const double* one_back = before - 1;
  for (std::size_t k = 0; k < count; ++k) {
    next[k] = (index[k] * one_back[k] + (total - index[k]) * before[k]) * share;
  }
}

/// P(largest height >= `height`) over all orders of n reference and m current values, equal values
/// being those between two ends of ties (`ends[s]`: the first s values are whole ties; empty: no
/// ties). Cell i of diagonal s holds the probability that a random path to i reference and s - i
/// current values has been outside: its last step was a reference value with probability i / s.
double PathTail(std::size_t n, std::size_t m, std::int64_t height,
                const std::vector<std::uint8_t>& ends) {
  if (height <= 0) return 1;
  if (n > m) std::swap(n, m);  // The same probability, in less memory.
  const auto rows = static_cast<std::int64_t>(n);
  const auto columns = static_cast<std::int64_t>(m);
  const Steps steps = StepsOf(n, m);
  const std::int64_t width = steps.reference + steps.current;
  // One cell more at each side: what lies beyond the walked range has been outside.
  std::vector<double> before(n + 3, 1);
  std::vector<double> next(n + 3, 1);
  std::vector<double> index(n + 1);
  std::iota(index.begin(), index.end(), 0.0);

  before[1] = 0;
  std::int64_t low = 0;
  std::int64_t high = 0;
  for (std::int64_t s = 1; s <= rows + columns; ++s) {
    low = std::max(low, s - columns);
    high = std::min(high + 1, rows);
    if (ends.empty() || ends[static_cast<std::size_t>(s)] != 0) {
      // Inside means -height < i width - s steps.current < height.
      const std::int64_t middle = s * steps.current;
      const std::int64_t below = middle - height;
      const std::int64_t floor = below >= 0 ? below / width : -((-below + width - 1) / width);
      low = std::max(low, floor + 1);
      high = std::min(high, (middle + height - 1) / width);
    }
    if (low > high) return 1;
    StepDiagonal(before.data() + low + 1, index.data() + low, static_cast<double>(s),
                 static_cast<std::size_t>(high - low + 1), next.data() + low + 1);
    next[static_cast<std::size_t>(low)] = 1;
    next[static_cast<std::size_t>(high) + 2] = 1;
    before.swap(next);
  }
  return std::clamp(before[n + 1], 0.0, 1.0);
}

/// 2 sum over k >= 1 of (-1)^(k-1) C(2n, n - k h) / C(2n, n), from the small terms inwards.
double EqualSizesTail(std::size_t n, std::int64_t height) {
  if (height <= 0) return 1;
  const auto size = static_cast<double>(n);
  const auto h = static_cast<double>(height);
  // Terms that are below 1e-20 of the first are not seen in the sum.
  const double most = std::min(std::floor(size / h), std::ceil(std::sqrt(1 + 46 * size / (h * h))));
  double sum = 0;
  for (double k = most - 1; k >= 0; --k) {
    double ratio = 1;  // Of term k + 1 to term k.
    for (double step = 0; step < h; ++step) {
      ratio *= (size - k * h - step) / (size + k * h + step + 1);
    }
    sum = ratio * (1 - sum);
  }
  return std::clamp(2 * sum, 0.0, 1.0);
}

template <typename T>
Result<KolmogorovSmirnovTest> Test(std::span<const T> reference, std::span<const T> current,
                                   const TwoSampleOptions& options) {
  const std::size_t n = reference.size();
  const std::size_t m = current.size();
  if (n == 0 || m == 0) return internal::CheckSamples(reference, current).error();
  if (n > kMostValues || m > kMostValues) {
    return internal::Invalid("a sample of " + std::to_string(std::max(n, m)) +
                             " values is above the limit of " + std::to_string(kMostValues));
  }
  const Range all = Joined(KeyRange(reference.data(), n), KeyRange(current.data(), m));
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  if (all.low <= ToOrderedKey(-kInfinity) || all.high >= ToOrderedKey(kInfinity)) {
    return internal::CheckSamples(reference, current).error();
  }

  const bool few_cells = static_cast<double>(n) * static_cast<double>(m) <= kMostExactCells;
  using Method = TwoSampleOptions::Method;
  if (options.method == Method::kExact && !few_cells && n != m) {
    return internal::Invalid("an exact p-value for " + std::to_string(n) + " and " +
                             std::to_string(m) +
                             " values: their product is above the limit of 100000000");
  }
  const bool exact = options.method != Method::kAsymptotic && (few_cells || n == m);
  const bool see_ties = exact && few_cells && options.ties == TieRule::kConditional;

  KolmogorovSmirnovTest test;
  Peak<T> peak;
  std::vector<std::uint8_t> ends;
  bool ties = false;
  if (see_ties) {
    const auto sorted_reference = internal::SortedWithGuard(reference);
    const auto sorted_current = internal::SortedWithGuard(current);
    peak.location = std::min(sorted_reference[0], sorted_current[0]);
    const Steps steps = StepsOf(n, m);
    ends.assign(n + m + 1, 0);
    std::size_t seen = 0;
    std::int64_t height = 0;
    internal::VisitDistinct(sorted_reference, sorted_current,
                            [&](T value, std::size_t up, std::size_t down, T) {
                              seen += up + down;
                              ends[seen] = 1;
                              ties = ties || up + down > 1;
                              height += static_cast<std::int64_t>(up) * steps.reference -
                                        static_cast<std::int64_t>(down) * steps.current;
                              if (std::abs(height) > std::abs(peak.height)) peak = {height, value};
                            });
    if (!ties) ends.clear();
  } else {
    peak = PeakOf(reference, current, all);
  }

  const Steps steps = StepsOf(n, m);
  const std::int64_t height = std::abs(peak.height);
  test.statistic =
      static_cast<double>(height) / (static_cast<double>(steps.reference) * static_cast<double>(n));
  test.location = static_cast<double>(peak.location);
  test.sign = (peak.height > 0) - (peak.height < 0);
  test.method = exact ? PValueMethod::kExact : PValueMethod::kAsymptotic;
  test.ignores_ties = !see_ties;
  if (!exact) {
    const double product = static_cast<double>(n) * static_cast<double>(m);
    test.p_value = KolmogorovTail(std::sqrt(product / static_cast<double>(n + m)) * test.statistic);
  } else if (n == m && !ties) {
    test.p_value = EqualSizesTail(n, height);
  } else {
    test.p_value = PathTail(n, m, height, ends);
  }
  return test;
}

}  // namespace

double KolmogorovTail(double x) {
  if (!(x > 0)) return std::isnan(x) ? x : 1;
  double sum = 0;
  if (x < 1) {
    // The same function by Jacobi's transformation, which converges at once here.
    const double unit = std::numbers::pi * std::numbers::pi / (8 * x * x);
    for (int k = 1; k < 20; k += 2) sum += std::exp(-unit * k * k);
    return std::clamp(1 - std::sqrt(2 * std::numbers::pi) / x * sum, 0.0, 1.0);
  }
  for (int k = 10; k >= 1; --k) sum = std::exp(-2 * x * x * (2 * k - 1)) * (1 - sum);
  return std::min(1.0, 2 * sum);
}

Result<KolmogorovSmirnovTest> KolmogorovSmirnov(std::span<const double> reference,
                                                std::span<const double> current,
                                                const TwoSampleOptions& options) {
  return Test(reference, current, options);
}

Result<KolmogorovSmirnovTest> KolmogorovSmirnov(std::span<const float> reference,
                                                std::span<const float> current,
                                                const TwoSampleOptions& options) {
  return Test(reference, current, options);
}

}  // namespace tidewheel::stats
