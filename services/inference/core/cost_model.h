#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>

namespace tidewheel::inference {

/// What a call of a model costs by its number of rows: moving averages, one for each power of two.
/// Where a size was never seen the answer is a lower bound from those that were, so that nobody is
/// refused by a guess. Thread-safe; a measurement lost in a race is lost.
class CostModel {
 public:
  void Add(std::size_t rows, std::chrono::nanoseconds took);

  /// Of one call; 0: nothing is known yet.
  std::chrono::nanoseconds Of(std::size_t rows) const;
  /// Of all calls that `rows` take when each has at most `most_rows`.
  std::chrono::nanoseconds ForAll(std::size_t rows, std::size_t most_rows) const;

 private:
  static constexpr std::size_t kSizes = 24;
  std::array<std::atomic<double>, kSizes> row_nanoseconds_{};  // 0: never seen.
};

}  // namespace tidewheel::inference
