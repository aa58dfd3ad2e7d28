#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>

#include "tidewheel/stats/internal/power_sums.h"

namespace tidewheel::stats::internal {

/// Four lanes at a time, in whatever registers the function that this is inlined into may use.
using Doubles4 = double __attribute__((vector_size(32)));
using Floats4 = float __attribute__((vector_size(16)));
using Mask4 = std::int64_t __attribute__((vector_size(32)));
using Ints4 = std::int32_t __attribute__((vector_size(16)));

__attribute__((always_inline)) inline void Load(const float* from, Doubles4& to) {
  Floats4 loaded;
  std::memcpy(&loaded, from, sizeof loaded);
  to = __builtin_convertvector(loaded, Doubles4);
}

__attribute__((always_inline)) inline void Load(const double* from, Doubles4& to) {
  std::memcpy(&to, from, sizeof to);
}

/// Power sums about a pivot in kLanes lanes; value i of a block belongs to lane i % kLanes.
class LaneSums {
 public:
  __attribute__((always_inline)) explicit LaneSums(double pivot) : pivot_(pivot) {
    for (auto& half : min_) half = Doubles4{} + std::numeric_limits<double>::infinity();
    for (auto& half : max_) half = Doubles4{} - std::numeric_limits<double>::infinity();
  }

  /// Lanes 0 to 3 (`half` 0) or 4 to 7 (1).
  __attribute__((always_inline)) void Take(std::size_t half, const Doubles4& value) {
    const Mask4 good = value == value;  // All bits, which is -1, where it is not NaN.
    const Doubles4 d = reinterpret_cast<Doubles4>(reinterpret_cast<Mask4>(value - pivot_) & good);
    const Doubles4 d2 = d * d;
    valid_[half] -= good;
    first_[half] += d;
    second_[half] += d2;
    third_[half] += d2 * d;
    fourth_[half] += d2 * d2;
    min_[half] = value < min_[half] ? value : min_[half];
    max_[half] = value > max_[half] ? value : max_[half];
  }

  /// Adds what has been taken to `sums` of a block of `size` values, whose last ones `rest` are
  /// not yet taken: less than kLanes.
  template <typename T>
  __attribute__((always_inline)) void Finish(std::span<const T> rest, std::size_t size,
                                             Moments::PowerSums& sums) {
    // One by one in the same lanes: NaN takes the places that are left over.
    alignas(32) std::array<double, kLanes> last;
    last.fill(std::numeric_limits<double>::quiet_NaN());
    for (std::size_t i = 0; i < rest.size(); ++i) last[i] = static_cast<double>(rest[i]);
    for (std::size_t half = 0; half < 2; ++half) {
      Doubles4 value;
      Load(last.data() + 4 * half, value);
      Take(half, value);
    }
    sums.pivot = pivot_;
    double min = std::numeric_limits<double>::infinity();
    double max = -min;
    for (std::size_t half = 0; half < 2; ++half) {
      for (std::size_t i = 0; i < 4; ++i) {
        sums.count += static_cast<std::uint64_t>(valid_[half][i]);
        sums.first += first_[half][i];
        sums.second += second_[half][i];
        sums.third += third_[half][i];
        sums.fourth += fourth_[half][i];
        min = std::min(min, static_cast<double>(min_[half][i]));
        max = std::max(max, static_cast<double>(max_[half][i]));
      }
    }
    sums.missing = size - sums.count;
    // Adding 0 makes -0 to 0, whichever of the two came first.
    sums.min = min + 0.0;
    sums.max = max + 0.0;
  }

 private:
  double pivot_;
  std::array<Doubles4, 2> first_{};
  std::array<Doubles4, 2> second_{};
  std::array<Doubles4, 2> third_{};
  std::array<Doubles4, 2> fourth_{};
  std::array<Mask4, 2> valid_{};
  std::array<Doubles4, 2> min_;
  std::array<Doubles4, 2> max_;
};

}  // namespace tidewheel::stats::internal
