#include "tidewheel/stats/sort_numbers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

template <typename T>
class SortNumbersTest : public testing::Test {};
using Numbers = testing::Types<float, double>;
TYPED_TEST_SUITE(SortNumbersTest, Numbers);

template <typename T>
std::vector<T> Sorted(std::vector<T> values) {
  std::stable_sort(values.begin(), values.end());
  return values;
}

TYPED_TEST(SortNumbersTest, KeysKeepTheOrderAndTurnBack) {
  using T = TypeParam;
  const std::vector<T> ascending = {-std::numeric_limits<T>::infinity(),
                                    -std::numeric_limits<T>::max(),
                                    T(-1.5),
                                    -std::numeric_limits<T>::denorm_min(),
                                    T(-0.0),
                                    T(0.0),
                                    std::numeric_limits<T>::denorm_min(),
                                    T(2),
                                    std::numeric_limits<T>::max(),
                                    std::numeric_limits<T>::infinity()};

  for (std::size_t i = 0; i < ascending.size(); ++i) {
    EXPECT_EQ(FromOrderedKey<T>(ToOrderedKey(ascending[i])), ascending[i]);
    if (i == 0) continue;
    EXPECT_LT(ToOrderedKey(ascending[i - 1]), ToOrderedKey(ascending[i]));
  }
  EXPECT_TRUE(std::signbit(FromOrderedKey<T>(ToOrderedKey(T(-0.0)))));
}

TYPED_TEST(SortNumbersTest, AgreesWithTheStandardSortOnEverySize) {
  using T = TypeParam;
  Random random(1);
  for (const std::size_t size : {0, 1, 2, 511, 512, 513, 2047, 2048, 5000, 70000}) {
    for (const int kind : {0, 1, 2, 3}) {
      std::vector<T> values(size);
      for (T& value : values) {
        const double normal = random.Normal();
        value = static_cast<T>(kind == 0   ? normal
                               : kind == 1 ? static_cast<double>(random.Below(7))
                               : kind == 2 ? std::exp(20 * normal) * (normal > 0 ? 1 : -1)
                                           : 3.25);
      }
      const std::vector<T> expected = Sorted(values);

      SortNumbers(std::span<T>(values));

      EXPECT_EQ(values, expected) << size << " values of kind " << kind;
    }
  }
}

}  // namespace
}  // namespace tidewheel::stats
