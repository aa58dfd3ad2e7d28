#include "tidewheel/labels/internal/row_reduce.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::labels {
namespace {

template <typename T, typename B>
void ExpectAllWidthsAgree() {
  const auto reducers = internal::RowReducers<T, B>();
  Random random(1);
  for (std::size_t classes = 1; classes < 90; ++classes) {
    const std::size_t rows = 1 + classes % 19;
    std::vector<T> values(rows * classes);
    for (T& value : values) value = static_cast<T>(random.Below(8)) / 8;  // With ties.
    std::vector<B> cuts(classes + internal::kVectorBytes / sizeof(T), ~B{0});
    for (std::size_t k = 0; k < classes; ++k) {
      cuts[k] = std::bit_cast<B>(static_cast<T>(0.1 + random.Uniform()));
    }
    for (const auto& reducer : reducers) {
      std::vector<T> sum(rows), short_sum(rows);
      std::vector<B> top(rows), confident(rows), short_top(rows);
      std::vector<std::int32_t> predicted(rows), short_predicted(rows), voted(rows);
      const T* end = values.data() + values.size();
      reducer.reduce(values.data(), rows, classes, end, cuts.data(), sum.data(), top.data(),
                     predicted.data(), confident.data());
      for (std::size_t r = 0; r < rows; ++r) {
        const T* row = values.data() + r * classes;
        const T largest = *std::max_element(row, row + classes);
        EXPECT_EQ(std::bit_cast<T>(top[r]), largest);
        EXPECT_EQ(sum[r], std::accumulate(row, row + classes, T{0}));
        std::size_t best = classes;
        for (std::size_t k = 0; k < classes; ++k) {
          if (std::bit_cast<B>(row[k]) >= cuts[k] && (best == classes || row[k] > row[best]))
            best = k;
        }
        EXPECT_EQ(std::bit_cast<T>(confident[r]), best == classes ? T{0} : row[best]);
        EXPECT_EQ(predicted[r], std::max_element(row, row + classes) - row);
        if (reducer.reduce_short == nullptr || classes * sizeof(T) > internal::kShortBytes) {
          continue;
        }
        // Every number of rows once.
        if (r == 0) {
          reducer.reduce_short(values.data(), rows, classes, end, cuts.data(), short_sum.data(),
                               short_top.data(), short_predicted.data(), voted.data());
        }
        EXPECT_EQ(short_sum[r], sum[r]);
        EXPECT_EQ(short_top[r], top[r]);
        EXPECT_EQ(short_predicted[r], predicted[r]);
        EXPECT_EQ(voted[r], best == classes ? -1 : static_cast<std::int32_t>(best));
      }
    }
  }
}

TEST(RowReducerTest, AllWidthsAgreeWithThePlainLoop) {
  ExpectAllWidthsAgree<float, std::uint32_t>();
  ExpectAllWidthsAgree<double, std::uint64_t>();
}

}  // namespace
}  // namespace tidewheel::labels
