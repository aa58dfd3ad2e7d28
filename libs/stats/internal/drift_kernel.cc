#include "tidewheel/stats/internal/drift_kernel.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "tidewheel/stats/internal/lane_sums.h"
#include "tidewheel/stats/internal/power_sums.h"
#include "tidewheel/stats/internal/target_clones.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define TIDEWHEEL_X86 1
#include <immintrin.h>
#endif

namespace tidewheel::stats::internal {
namespace {

using Lanes = std::array<double, kLanes>;

double Sum(const Lanes& lanes) {
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

constexpr double kTop = static_cast<double>(kGridSlots - 1);

/// A NaN fails the first comparison and lands in slot 0.
__attribute__((always_inline)) inline std::uint32_t Slot(double value, const GridLine& grid) {
  double place = (value - grid.low) * grid.bins_per_unit + 1.0;
  place = place > 0.0 ? place : 0.0;
  place = place < kTop ? place : kTop;
  return static_cast<std::uint32_t>(static_cast<std::int32_t>(place));
}

__attribute__((always_inline)) inline void Count(std::uint32_t slot, std::size_t i,
                                                 std::uint16_t* counters) {
  ++counters[std::size_t{slot} * SlotCounts::kCopies + i % SlotCounts::kCopies];
}

/// Counting waits for memory, summing for the multipliers: side by side both are nearly free. So
/// slots go through a short ring, and those of kLag values ago are counted while new ones are
/// computed.
constexpr std::size_t kLag = 128;
constexpr std::size_t kRing = 2 * kLag;

template <typename T>
__attribute__((always_inline)) inline void PassPortable(std::span<const T> block,
                                                        const GridLine& grid,
                                                        std::uint16_t* counters,
                                                        Moments::PowerSums& sums) {
  alignas(64) std::array<std::uint32_t, kRing> ring;
  LaneSums lanes(Pivot(block));
  const Doubles4 zero{};
  const Doubles4 top = zero + kTop;
  const std::size_t whole = block.size() / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    if (i >= kLag) {
      const std::uint32_t* old = ring.data() + (i - kLag) % kRing;
#pragma GCC unroll 8
      for (std::size_t j = 0; j < kLanes; ++j) Count(old[j], j, counters);
    }
#pragma GCC unroll 2
    for (std::size_t half = 0; half < 2; ++half) {
      Doubles4 value;
      Load(block.data() + i + 4 * half, value);
      lanes.Take(half, value);
      Doubles4 place = (value - grid.low) * grid.bins_per_unit + 1.0;
      place = place > zero ? place : zero;
      place = place < top ? place : top;
      const Ints4 slot = __builtin_convertvector(place, Ints4);
      std::memcpy(ring.data() + i % kRing + 4 * half, &slot, sizeof slot);
    }
  }
  for (std::size_t i = whole > kLag ? whole - kLag : 0; i < whole; ++i) {
    Count(ring[i % kRing], i, counters);
  }
  for (std::size_t i = whole; i < block.size(); ++i) {
    Count(Slot(static_cast<double>(block[i]), grid), i, counters);
  }
  lanes.Finish(block.subspan(whole), block.size(), sums);
}

/// How far values lie outside the grid; a NaN lies nowhere. What is left of a block after whole
/// groups of lanes goes on in the same lanes.
template <typename T>
void FinishOutside(std::span<const T> rest, const GridLine& grid, Lanes& below, Lanes& above,
                   BlockSums& sums) {
  for (std::size_t lane = 0; lane < rest.size(); ++lane) {
    const auto value = static_cast<double>(rest[lane]);
    if (value < grid.low) below[lane] += grid.low - value;
    if (value > grid.high) above[lane] += value - grid.high;
  }
  sums.below = Sum(below);
  sums.above = Sum(above);
}

template <typename T>
__attribute__((always_inline)) inline void AddOutsidePortable(std::span<const T> block,
                                                              const GridLine& grid,
                                                              BlockSums& sums) {
  const Doubles4 zero{};
  std::array<Doubles4, 2> below{};
  std::array<Doubles4, 2> above{};
  const std::size_t whole = block.size() / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
#pragma GCC unroll 2
    for (std::size_t half = 0; half < 2; ++half) {
      Doubles4 value;
      Load(block.data() + i + 4 * half, value);
      const Doubles4 under = grid.low - value;
      const Doubles4 over = value - grid.high;
      below[half] += under > zero ? under : zero;
      above[half] += over > zero ? over : zero;
    }
  }
  Lanes below_lanes;
  Lanes above_lanes;
  std::memcpy(below_lanes.data(), below.data(), sizeof below);
  std::memcpy(above_lanes.data(), above.data(), sizeof above);
  FinishOutside(block.subspan(whole), grid, below_lanes, above_lanes, sums);
}

#ifdef TIDEWHEEL_X86
#ifndef __clang__
// GCC 12 takes the operand that its own intrinsics leave undefined for ours (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

template <typename T>
__attribute__((target("avx512f"))) void PassAvx512(std::span<const T> block, const GridLine& grid,
                                                   std::uint16_t* counters,
                                                   Moments::PowerSums& sums) {
  constexpr std::size_t kStep = 16;
  static_assert(kStep % SlotCounts::kCopies == 0);
  alignas(64) std::array<std::uint32_t, kRing> ring;
  const std::size_t whole = block.size() / kStep * kStep;
  const double pivot = Pivot(block);

  const __m512d low = _mm512_set1_pd(grid.low);
  const __m512d scale = _mm512_set1_pd(grid.bins_per_unit);
  const __m512d one = _mm512_set1_pd(1.0);
  const __m512d top = _mm512_set1_pd(kTop);
  const __m512d zero = _mm512_setzero_pd();
  const __m512d center = _mm512_set1_pd(pivot);
  __m512d first = zero;
  __m512d second = zero;
  __m512d third = zero;
  __m512d fourth = zero;
  __m512 min_f = _mm512_set1_ps(std::numeric_limits<float>::infinity());
  __m512 max_f = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  __m512d min_d = _mm512_set1_pd(std::numeric_limits<double>::infinity());
  __m512d max_d = _mm512_set1_pd(-std::numeric_limits<double>::infinity());
  std::uint64_t valid = 0;

  const T* values = block.data();
  for (std::size_t i = 0; i < whole; i += kStep) {
    if (i >= kLag) {
      const std::uint32_t* old = ring.data() + (i - kLag) % kRing;
#pragma GCC unroll 16
      for (std::size_t j = 0; j < kStep; ++j) Count(old[j], j, counters);
    }
    __m512d both[2];
    __mmask8 good[2];
    if constexpr (std::is_same_v<T, float>) {
      const __m512 loaded = _mm512_loadu_ps(values + i);
      min_f = _mm512_min_ps(loaded, min_f);
      max_f = _mm512_max_ps(loaded, max_f);
      both[0] = _mm512_cvtps_pd(_mm256_loadu_ps(values + i));
      both[1] = _mm512_cvtps_pd(_mm256_loadu_ps(values + i + kLanes));
      const __mmask16 all = _mm512_cmp_ps_mask(loaded, loaded, _CMP_EQ_OQ);
      valid += static_cast<std::uint64_t>(__builtin_popcount(all));
      good[0] = static_cast<__mmask8>(all);
      good[1] = static_cast<__mmask8>(all >> 8);
    } else {
      both[0] = _mm512_loadu_pd(values + i);
      both[1] = _mm512_loadu_pd(values + i + kLanes);
      // A NaN as the first operand gives the second.
      min_d = _mm512_min_pd(both[1], _mm512_min_pd(both[0], min_d));
      max_d = _mm512_max_pd(both[1], _mm512_max_pd(both[0], max_d));
      good[0] = _mm512_cmp_pd_mask(both[0], both[0], _CMP_EQ_OQ);
      good[1] = _mm512_cmp_pd_mask(both[1], both[1], _CMP_EQ_OQ);
      valid += static_cast<std::uint64_t>(__builtin_popcount(good[0])) +
               static_cast<std::uint64_t>(__builtin_popcount(good[1]));
    }
#pragma GCC unroll 2
    for (std::size_t half = 0; half < 2; ++half) {
      const __m512d value = both[half];
      __m512d place = _mm512_add_pd(_mm512_mul_pd(_mm512_sub_pd(value, low), scale), one);
      place = _mm512_min_pd(_mm512_max_pd(place, zero), top);
      _mm256_store_si256(reinterpret_cast<__m256i*>(ring.data() + i % kRing + half * kLanes),
                         _mm512_cvttpd_epi32(place));
      const __m512d d = _mm512_maskz_sub_pd(good[half], value, center);
      const __m512d d2 = _mm512_mul_pd(d, d);
      first = _mm512_add_pd(first, d);
      second = _mm512_add_pd(second, d2);
      third = _mm512_add_pd(third, _mm512_mul_pd(d2, d));
      fourth = _mm512_add_pd(fourth, _mm512_mul_pd(d2, d2));
    }
  }
  for (std::size_t i = whole > kLag ? whole - kLag : 0; i < whole; ++i) {
    Count(ring[i % kRing], i, counters);
  }

  alignas(64) Lanes firsts;
  alignas(64) Lanes seconds;
  alignas(64) Lanes thirds;
  alignas(64) Lanes fourths;
  _mm512_store_pd(firsts.data(), first);
  _mm512_store_pd(seconds.data(), second);
  _mm512_store_pd(thirds.data(), third);
  _mm512_store_pd(fourths.data(), fourth);
  double min;
  double max;
  if constexpr (std::is_same_v<T, float>) {
    min = static_cast<double>(_mm512_reduce_min_ps(min_f));
    max = static_cast<double>(_mm512_reduce_max_ps(max_f));
  } else {
    min = _mm512_reduce_min_pd(min_d);
    max = _mm512_reduce_max_pd(max_d);
  }
  for (std::size_t i = whole; i < block.size(); ++i) {
    const auto value = static_cast<double>(block[i]);
    Count(Slot(value, grid), i, counters);
    if (std::isnan(value)) continue;
    const double d = value - pivot;
    const double d2 = d * d;
    ++valid;
    firsts[i % kLanes] += d;
    seconds[i % kLanes] += d2;
    thirds[i % kLanes] += d2 * d;
    fourths[i % kLanes] += d2 * d2;
    min = std::min(min, value);
    max = std::max(max, value);
  }
  // Adding 0 makes -0 to 0, whichever of the two came first.
  sums = {.count = valid,
          .missing = block.size() - valid,
          .pivot = pivot,
          .first = Sum(firsts),
          .second = Sum(seconds),
          .third = Sum(thirds),
          .fourth = Sum(fourths),
          .min = min + 0.0,
          .max = max + 0.0};
}

template <typename T>
__attribute__((target("avx512f"))) void AddOutsideAvx512(std::span<const T> block,
                                                         const GridLine& grid, BlockSums& sums) {
  const __m512d low = _mm512_set1_pd(grid.low);
  const __m512d high = _mm512_set1_pd(grid.high);
  const __m512d zero = _mm512_setzero_pd();
  __m512d below = zero;
  __m512d above = zero;
  const std::size_t whole = block.size() / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    __m512d value;
    if constexpr (std::is_same_v<T, float>) {
      value = _mm512_cvtps_pd(_mm256_loadu_ps(block.data() + i));
    } else {
      value = _mm512_loadu_pd(block.data() + i);
    }
    // A NaN as the first operand gives the second.
    below = _mm512_add_pd(below, _mm512_max_pd(_mm512_sub_pd(low, value), zero));
    above = _mm512_add_pd(above, _mm512_max_pd(_mm512_sub_pd(value, high), zero));
  }
  alignas(64) Lanes below_lanes;
  alignas(64) Lanes above_lanes;
  _mm512_store_pd(below_lanes.data(), below);
  _mm512_store_pd(above_lanes.data(), above);
  FinishOutside(block.subspan(whole), grid, below_lanes, above_lanes, sums);
}

template <typename T>
__attribute__((target("avx2"))) void PassAvx2(std::span<const T> block, const GridLine& grid,
                                              std::uint16_t* counters, Moments::PowerSums& sums) {
  PassPortable(block, grid, counters, sums);
}

template <typename T>
__attribute__((target("avx2"))) void AddOutsideAvx2(std::span<const T> block, const GridLine& grid,
                                                    BlockSums& sums) {
  AddOutsidePortable(block, grid, sums);
}

#endif

template <typename T>
void Pass(std::span<const T> block, const GridLine& grid, SlotCounts& slots, BlockSums& sums,
          [[maybe_unused]] Width width) {
  sums = {};
  std::uint16_t* counters = slots.counters();
  const auto has_outside = [&] {
    return sums.powers.min < grid.low || sums.powers.max > grid.high;
  };
#ifdef TIDEWHEEL_X86
  if (width == Width::kAvx512) {
    PassAvx512(block, grid, counters, sums.powers);
    if (has_outside()) AddOutsideAvx512(block, grid, sums);
    return;
  }
  if (width == Width::kAvx2) {
    PassAvx2(block, grid, counters, sums.powers);
    if (has_outside()) AddOutsideAvx2(block, grid, sums);
    return;
  }
#endif
  PassPortable(block, grid, counters, sums.powers);
  if (has_outside()) AddOutsidePortable(block, grid, sums);
}

/// The two counters of a slot are one word.
TIDEWHEEL_TARGET_CLONES void AddCopies(const std::uint16_t* counters, std::uint64_t* totals) {
  static_assert(SlotCounts::kCopies == 2);
  for (std::size_t slot = 0; slot < kGridSlots; ++slot) {
    std::uint32_t word;
    std::memcpy(&word, counters + slot * SlotCounts::kCopies, sizeof word);
    totals[slot] += (word & 0xFFFF) + (word >> 16);
  }
}

}  // namespace

void SlotCounts::Take(std::uint64_t* totals) {
  AddCopies(counters_.data(), totals);
  counters_.fill(0);
}

Width WidestWidth() {
#ifdef TIDEWHEEL_X86
  static const Width widest = __builtin_cpu_supports("avx512f") ? Width::kAvx512
                              : __builtin_cpu_supports("avx2")  ? Width::kAvx2
                                                                : Width::kPortable;
  return widest;
#else
  return Width::kPortable;
#endif
}

void PassOver(std::span<const float> block, const GridLine& grid, SlotCounts& slots,
              BlockSums& sums, Width width) {
  Pass(block, grid, slots, sums, width);
}

void PassOver(std::span<const double> block, const GridLine& grid, SlotCounts& slots,
              BlockSums& sums, Width width) {
  Pass(block, grid, slots, sums, width);
}

}  // namespace tidewheel::stats::internal
