// How a reference chooses the grid of each column and the lines between its bins.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "tidewheel/stats/drift_profile.h"
#include "tidewheel/stats/internal/drift_kernel.h"
#include "tidewheel/stats/internal/power_sums.h"
#include "tidewheel/stats/internal/samples.h"
#include "tidewheel/stats/internal/side_by_side.h"

namespace tidewheel::stats {
namespace {

using internal::GridLine;
using internal::kGridBins;
using internal::kGridSlots;

/// Shares of the values left out on each side of the part that the grid must show well. The middle
/// half, unless that is one single value.
constexpr double kTails[] = {0.25, 0.1, 0.05, 0.01, 0.0005};
/// So many bins show it well.
constexpr std::size_t kCoreBins = kGridBins / 64;
/// Each closer look is at least 64 times closer.
constexpr int kMostLooks = 12;
/// Below this the reciprocal of a width leaves the range of a double.
constexpr double kLeastWidth = 1e-300;

struct Counted {
  std::vector<std::uint64_t> slots = std::vector<std::uint64_t>(kGridSlots);
  std::uint64_t values = 0;
  double min = std::numeric_limits<double>::infinity();
  double max = -std::numeric_limits<double>::infinity();
};

GridLine Between(double low, double high) {
  const double width = std::max((high - low) / static_cast<double>(kGridBins), kLeastWidth);
  return {low, 1 / width, low + width * static_cast<double>(kGridBins)};
}

/// The least and the largest value lie in the middle of the outer bins, clear of any rounding.
GridLine Around(double min, double max) {
  const double width = (max - min) / static_cast<double>(kGridBins - 1);
  return Between(min - width / 2, max + width / 2);
}

template <typename T>
Counted Count(std::span<const T> column, const GridLine& grid) {
  Counted counted;
  internal::SlotCounts counters;
  std::uint64_t missing = 0;
  for (std::size_t begin = 0; begin < column.size(); begin += internal::kBlockValues) {
    const std::size_t size = std::min(internal::kBlockValues, column.size() - begin);
    internal::BlockSums sums;
    PassOver(column.subspan(begin, size), grid, counters, sums, internal::WidestWidth());
    counters.Take(counted.slots.data());
    counted.values += sums.powers.count;
    missing += sums.powers.missing;
    counted.min = std::min(counted.min, sums.powers.min);
    counted.max = std::max(counted.max, sums.powers.max);
  }
  counted.slots[0] -= missing;
  return counted;
}

struct Range {
  double low;
  double high;
};

/// The slots without `tail` of the values on either side.
struct Core {
  std::size_t first;
  std::size_t last;
  std::size_t bins() const { return last - first + 1; }
};

Core CoreOf(const Counted& counted, double tail) {
  const auto left_out = static_cast<std::uint64_t>(tail * static_cast<double>(counted.values));
  Core core{0, kGridSlots - 1};
  for (std::uint64_t sum = counted.slots[0]; sum <= left_out && core.first + 1 < kGridSlots;) {
    sum += counted.slots[++core.first];
  }
  for (std::uint64_t sum = counted.slots[core.last]; sum <= left_out && core.last > core.first;) {
    sum += counted.slots[--core.last];
  }
  return core;
}

/// The least and the largest value in the slots of a core, and next to them: a value may have been
/// rounded across a line.
template <typename T>
Range RangeOf(std::span<const T> column, const GridLine& grid, const Core& core) {
  const double step = 1 / grid.bins_per_unit;
  const double low = grid.low + (static_cast<double>(core.first) - 1.001) * step;
  const double high = grid.low + (static_cast<double>(core.last) + 0.001) * step;
  Range range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for (const T raw : column) {
    const auto value = static_cast<double>(raw);
    const bool inside = value >= low && value <= high;
    range.low = inside && value < range.low ? value : range.low;
    range.high = inside && value > range.high ? value : range.high;
  }
  return range;
}

/// Where all values but `tail` on either side lie, as far as the coarsest grid that shows it tells;
/// nothing where that is one value.
template <typename T>
std::optional<Range> CoreRange(std::span<const T> column, const Counted& counted,
                               const GridLine& whole, double tail) {
  GridLine grid = whole;
  Core core = CoreOf(counted, tail);
  for (int look = 0; core.bins() < kCoreBins && look < kMostLooks; ++look) {
    const Range range = RangeOf(column, grid, core);
    if (!(range.low < range.high)) return std::nullopt;
    grid = Around(range.low, range.high);
    core = CoreOf(Count(column, grid), tail);
  }
  const double step = 1 / grid.bins_per_unit;
  return Range{grid.low + (static_cast<double>(core.first) - 1) * step,
               grid.low + static_cast<double>(core.last) * step};
}

/// The grid, or nothing where there is no value to choose it by.
template <typename T>
std::optional<GridLine> ChooseGrid(std::span<const T> column, bool span_all) {
  const Counted all = Count(column, GridLine::None());
  if (all.values == 0) return std::nullopt;
  // Infinite or too large: the count that follows names the value.
  if (all.max > Moments::kLargest || all.min < -Moments::kLargest) return std::nullopt;
  if ((all.max - all.min) / static_cast<double>(kGridBins) < kLeastWidth) {
    // One value, in the middle of a bin.
    const double width = std::max(1.0, std::abs(all.min)) / static_cast<double>(kGridBins / 2);
    const double low = all.min - (static_cast<double>(kGridBins / 2) + 0.5) * width;
    return Between(low, low + static_cast<double>(kGridBins) * width);
  }
  const GridLine whole = Around(all.min, all.max);
  if (span_all) return whole;

  const Counted counted = Count(column, whole);
  for (const double tail : kTails) {
    if (CoreOf(counted, tail).bins() >= kCoreBins) return whole;
    const auto core = CoreRange(column, counted, whole, tail);
    if (!core) continue;
    // As much room on either side as fits; what one side does not need is the other's.
    const double span = (core->high - core->low) * static_cast<double>(kGridBins / kCoreBins);
    const double room = (span - (core->high - core->low)) / 2;
    const double low = std::max(whole.low, core->low - room);
    const double high = std::min(whole.high, low + span);
    return Between(std::max(whole.low, high - span), high);
  }
  return whole;
}

/// Lines that part the reference into bins of equal share as nearly as the grid allows, each in the
/// middle of the empty bins where it falls: values that come again and again stay clear of it.
std::vector<std::uint16_t> SharedLines(const std::vector<std::uint64_t>& slots, std::size_t bins) {
  std::vector<std::uint16_t> lines;
  const std::uint64_t total = std::accumulate(slots.begin(), slots.end(), std::uint64_t{0});
  std::size_t first = kGridSlots;  // Of the slots that are not empty.
  std::size_t before = kGridSlots;
  std::uint64_t sum = 0;
  std::size_t next = 1;
  const auto reached = [&] {
    return static_cast<double>(sum) * static_cast<double>(bins) >=
           static_cast<double>(next) * static_cast<double>(total);
  };
  for (std::size_t slot = 0; slot < kGridSlots; ++slot) {
    if (slots[slot] == 0) continue;
    if (first == kGridSlots) first = slot;
    if (next < bins && before != kGridSlots && reached()) {
      lines.push_back(static_cast<std::uint16_t>((before + slot - 1) / 2));
      while (next < bins && reached()) ++next;
    }
    sum += slots[slot];
    before = slot;
  }
  // Few different values leave lines over: what lies outside all of them is then a bin of its own.
  if (first != kGridSlots && lines.size() + 2 < bins) {
    if (first > 0) lines.insert(lines.begin(), static_cast<std::uint16_t>(first - 1));
    if (before < kGridSlots - 1) lines.push_back(static_cast<std::uint16_t>(before));
  }
  return lines;
}

std::vector<std::uint16_t> EqualLines(std::size_t bins) {
  std::vector<std::uint16_t> lines;
  for (std::size_t i = 1; i < bins; ++i) {
    lines.push_back(static_cast<std::uint16_t>((i * kGridBins + bins / 2) / bins));
  }
  return lines;
}

Result<void> Check(const ReferenceOptions& options) {
  if (options.bins < 2 || options.bins > 256) {
    return internal::Invalid("bins are 2 to 256, not " + std::to_string(options.bins));
  }
  if (options.threads < 1 || options.threads > internal::kMostThreads) {
    return internal::Invalid("threads are 1 to 64, not " + std::to_string(options.threads));
  }
  return {};
}

}  // namespace

template <typename T>
Result<DriftProfile> DriftProfile::Plan(std::span<const std::span<const T>> columns,
                                        const ReferenceOptions& options) {
  if (const auto good = Check(options); !good) return good.error();
  if (columns.empty()) return internal::Invalid("the reference has no column");
  if (columns.size() > kMostColumns) {
    return internal::Invalid("a drift profile has at most " + std::to_string(kMostColumns) +
                             " columns, not " + std::to_string(columns.size()));
  }
  std::vector<Column> planned(columns.size());
  internal::SideBySide(columns.size(), options.threads, [&](std::size_t, std::size_t i) {
    planned[i].slots.resize(kGridSlots);
    const auto grid = ChooseGrid(columns[i], options.span_all);
    if (!grid) return;
    planned[i].low = grid->low;
    planned[i].width = 1 / grid->bins_per_unit;
  });
  DriftProfile profile(std::move(planned));
  if (const auto added = profile.Add(columns, options.threads); !added) return added.error();
  for (Column& column : profile.columns_) {
    if (column.width == 0) continue;
    column.lines =
        options.equal_shares ? SharedLines(column.slots, options.bins) : EqualLines(options.bins);
  }
  return profile;
}

Result<DriftProfile> DriftProfile::OfReference(FloatColumns columns,
                                               const ReferenceOptions& options) {
  return Plan(columns, options);
}

Result<DriftProfile> DriftProfile::OfReference(DoubleColumns columns,
                                               const ReferenceOptions& options) {
  return Plan(columns, options);
}

}  // namespace tidewheel::stats
