#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "tidewheel/stats/moments.h"

namespace tidewheel::stats::internal {

/// Bins of the grid of a drift profile, and the slots that are counted: one below, the bins, one
/// above.
constexpr std::size_t kGridBins = 4'096;
constexpr std::size_t kGridSlots = kGridBins + 2;

/// Slot of x: 0 below `low`, 1 + floor((x - low) * bins_per_unit) inside, kGridSlots - 1 above. A
/// product that a double rounds across a line counts on the side it was rounded to, on every
/// machine.
struct GridLine {
  double low = 0;
  double bins_per_unit = 0;
  /// The upper end of the grid.
  double high = 0;

  /// One on which nothing is outside and the slots say nothing.
  static GridLine None() {
    return {-std::numeric_limits<double>::infinity(), 0, std::numeric_limits<double>::infinity()};
  }
};

/// How often each slot was met: two counters a slot, taken in turns, because adding to the counter
/// that was just stored waits for the store. 16 KiB, to stay in the first cache beside the values:
/// four counters help columns of one value and cost all others more. Take() empties it and must
/// come before kMostValues have been counted.
class SlotCounts {
 public:
  static constexpr std::size_t kCopies = 2;
  static constexpr std::size_t kMostValues = std::size_t{kCopies} * 65'535;

  std::uint16_t* counters() { return counters_.data(); }
  /// Adds all counters to `totals` (kGridSlots of them) and sets them to zero.
  void Take(std::uint64_t* totals);

 private:
  alignas(64) std::array<std::uint16_t, kGridSlots * kCopies> counters_{};
};

/// What one pass over a block says beside its slots.
struct BlockSums {
  Moments::PowerSums powers;
  /// Sums of how far values lie below and above the grid, in their unit.
  double below = 0;
  double above = 0;
};

enum class Width { kPortable, kAvx2, kAvx512 };

/// The widest the machine has.
Width WidestWidth();

/// Counts the slots of up to kBlockValues values and sums their powers, in one pass. Missing values
/// are counted as below, and `powers.missing` says how many they are. All widths give the same
/// results to the last bit: sums run in eight lanes, and no product is fused into a sum.
void PassOver(std::span<const float> block, const GridLine& grid, SlotCounts& slots,
              BlockSums& sums, Width width);
void PassOver(std::span<const double> block, const GridLine& grid, SlotCounts& slots,
              BlockSums& sums, Width width);

}  // namespace tidewheel::stats::internal
