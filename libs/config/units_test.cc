#include "tidewheel/config/units.h"

#include <gtest/gtest.h>

namespace tidewheel::config {
namespace {

using std::chrono::milliseconds;

TEST(UnitsTest, DurationsReadInEveryUnit) {
  EXPECT_EQ(*ParseDuration("250ms"), milliseconds(250));
  EXPECT_EQ(*ParseDuration("10s"), milliseconds(10'000));
  EXPECT_EQ(*ParseDuration("1.5s"), milliseconds(1'500));
  EXPECT_EQ(*ParseDuration("5m"), milliseconds(300'000));
  EXPECT_EQ(*ParseDuration("2h"), milliseconds(7'200'000));
  EXPECT_EQ(*ParseDuration("7d"), milliseconds(604'800'000));
  EXPECT_EQ(*ParseDuration("0"), milliseconds(0));
}

TEST(UnitsTest, WhatIsNoDurationIsRefused) {
  for (const char* text : {"", "10", "s", "-1s", "1 s", "1e3s", "10S", "nan", "inf", "infs", "nans",
                           "0.5ms", "99999999999d", "1sx", "0x1s"}) {
    EXPECT_FALSE(ParseDuration(text)) << text;
  }
}

TEST(UnitsTest, AFormattedDurationReadsBack) {
  for (const std::int64_t ms : {0, 1, 999, 1'000, 1'500, 60'000, 61'000, 3'600'000, 86'400'000}) {
    EXPECT_EQ(*ParseDuration(FormatDuration(milliseconds(ms))), milliseconds(ms)) << ms;
  }
  EXPECT_EQ(FormatDuration(milliseconds(10'000)), "10s");
}

TEST(UnitsTest, SizesReadInPowersOf1024AndOf1000) {
  EXPECT_EQ(ParseByteCount("512")->bytes, 512U);
  EXPECT_EQ(ParseByteCount("16MiB")->bytes, 16U << 20);
  EXPECT_EQ(ParseByteCount("2GB")->bytes, 2'000'000'000U);
  EXPECT_EQ(ParseByteCount("10kB")->bytes, 10'000U);
  EXPECT_EQ(FormatByteCount(MiB(16)), "16MiB");
  EXPECT_EQ(FormatByteCount({1'000}), "1000");
}

TEST(UnitsTest, WhatIsNoSizeIsRefused) {
  for (const char* text : {"", "MiB", "-1", "1.5GiB", "16 MiB", "16mib", "99999999999TiB", "1e3"}) {
    EXPECT_FALSE(ParseByteCount(text)) << text;
  }
}

}  // namespace
}  // namespace tidewheel::config
