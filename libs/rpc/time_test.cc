#include "tidewheel/rpc/time.h"

#include <gtest/gtest.h>

#include "tidewheel/base/random.h"

namespace tidewheel::rpc {
namespace {

using std::chrono::microseconds;

TEST(TimeTest, AnyTimeComesBackAsItWas) {
  Random random(3);
  for (int i = 0; i < 10'000; ++i) {
    const auto span = static_cast<std::int64_t>(random.Below(200'000'000'000'000'000));
    const Timestamp time{microseconds(span - 60'000'000'000'000'000)};
    const auto proto = ToProto(time);
    EXPECT_GE(proto.nanos(), 0);
    EXPECT_EQ(*FromProto(proto), time);
  }
}

TEST(TimeTest, ATimeBefore1970HasPositiveNanoseconds) {
  const auto proto = ToProto(Timestamp{microseconds(-1)});
  EXPECT_EQ(proto.seconds(), -1);
  EXPECT_EQ(proto.nanos(), 999'999'000);
}

TEST(TimeTest, AnyDurationComesBackAsItWas) {
  for (const std::int64_t us : {0L, 1L, -1L, 1'500'000L, -1'500'000L, 86'400'000'000L}) {
    EXPECT_EQ(*FromProto(ToProto(microseconds(us))), microseconds(us)) << us;
  }
}

TEST(TimeTest, WhatIsOutsideTheFormatIsRefused) {
  google::protobuf::Timestamp time;
  time.set_nanos(-1);
  EXPECT_FALSE(FromProto(time));
  time.set_nanos(1'000'000'000);
  EXPECT_FALSE(FromProto(time));
  time.set_nanos(0);
  time.set_seconds(253'402'300'800);
  EXPECT_FALSE(FromProto(time));

  google::protobuf::Duration duration;
  duration.set_seconds(1);
  duration.set_nanos(-1);
  EXPECT_FALSE(FromProto(duration));
  duration.set_nanos(0);
  duration.set_seconds(400'000'000'000);
  EXPECT_FALSE(FromProto(duration));
}

}  // namespace
}  // namespace tidewheel::rpc
