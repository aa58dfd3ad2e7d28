#include "tidewheel/labels/internal/row_reduce.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
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
  std::size_t plain_rows = 0;
  for (std::size_t classes = 1; classes < 90; ++classes) {
    const std::size_t rows = 1 + classes % 19;
    std::vector<T> values(rows * classes);
    for (T& value : values) value = static_cast<T>(random.Below(8)) / 8;  // With ties.
    for (std::size_t r = 0; r < rows; r += 3) {
      // And rows that sum to 1.
      std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(r * classes), classes, T{0});
      values[r * classes + random.Below(classes)] += T{0.625};
      values[r * classes + random.Below(classes)] += T{0.375};
    }
    std::vector<B> cuts(classes + internal::kVectorBytes / sizeof(T), ~B{0});
    for (std::size_t k = 0; k < classes; ++k) {
      cuts[k] = std::bit_cast<B>(static_cast<T>(0.1 + random.Uniform()));
    }
    for (const auto& reducer : reducers) {
      std::vector<T> sum(rows), short_sum(rows);
      std::vector<B> top(rows), confident(rows), short_top(rows);
      std::vector<std::int32_t> predicted(rows), short_predicted(rows), voted(rows);
      std::vector<std::int32_t> labels(rows);
      for (std::size_t r = 0; r < rows; ++r) {
        // Mostly the first largest class.
        const T* row = values.data() + r * classes;
        labels[r] = static_cast<std::int32_t>(
            random.Uniform() < 0.8 ? std::max_element(row, row + classes) - row : 0);
      }
      std::vector<std::uint8_t> plain((rows + 7) / 8), votes((rows + 7) / 8);
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
          reducer.reduce_short(values.data(), rows, classes, cuts.data(), labels.data(),
                               short_sum.data(), short_top.data(), short_predicted.data(),
                               voted.data(), plain.data(), votes.data());
        }
        EXPECT_EQ(short_sum[r], sum[r]);
        EXPECT_EQ(short_top[r], top[r]);
        EXPECT_EQ(short_predicted[r], predicted[r]);
        const bool is_plain = std::abs(sum[r] - 1) <= internal::kSureSum && largest <= 1 &&
                              predicted[r] == labels[r] &&
                              (voted[r] == labels[r] || voted[r] == -1);
        EXPECT_EQ((plain[r / 8] >> (r % 8)) & 1, is_plain ? 1 : 0);
        EXPECT_EQ((votes[r / 8] >> (r % 8)) & 1, is_plain && voted[r] >= 0 ? 1 : 0);
        plain_rows += is_plain ? 1 : 0;
        EXPECT_EQ(voted[r], best == classes ? -1 : static_cast<std::int32_t>(best));
      }
    }
  }
  // Where there is a way for short rows at all.
  EXPECT_TRUE(plain_rows > 15 || reducers.front().reduce_short == nullptr);
}

TEST(RowReducerTest, AllWidthsAgreeWithThePlainLoop) {
  ExpectAllWidthsAgree<float, std::uint32_t>();
  ExpectAllWidthsAgree<double, std::uint64_t>();
}

}  // namespace
}  // namespace tidewheel::labels
