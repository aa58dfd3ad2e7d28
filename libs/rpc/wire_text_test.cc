#include "tidewheel/rpc/internal/wire_text.h"

#include <gtest/gtest.h>

#include <string>

namespace tidewheel::rpc {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(WireTextTest, TimeoutsHaveAUnit) {
  EXPECT_EQ(ParseGrpcTimeout("2H"), hours(2));
  EXPECT_EQ(ParseGrpcTimeout("3M"), minutes(3));
  EXPECT_EQ(ParseGrpcTimeout("4S"), seconds(4));
  EXPECT_EQ(ParseGrpcTimeout("5m"), milliseconds(5));
  EXPECT_EQ(ParseGrpcTimeout("6u"), microseconds(6));
  EXPECT_EQ(ParseGrpcTimeout("99999999n"), nanoseconds(99'999'999));
  EXPECT_GT(ParseGrpcTimeout("99999999H"), hours(24 * 365));
  for (const char* const wrong : {"", "S", "5", "5x", "-5S", "5 S", "123456789S", "0x5S", "5SS"}) {
    EXPECT_EQ(ParseGrpcTimeout(wrong), std::nullopt) << wrong;
  }
}

TEST(WireTextTest, WordsAreMadePrintable) {
  EXPECT_EQ(PercentEncoded("all is well"), "all is well");
  EXPECT_EQ(PercentEncoded("100 %\n"), "100 %25%0A");
  EXPECT_EQ(PercentEncoded("\xC3\xA9"), "%C3%A9");
}

TEST(WireTextTest, BinaryMetadataIsBase64WithOrWithoutPadding) {
  const std::string bytes("\0\1\2\xFF", 4);
  EXPECT_EQ(ToBase64(bytes), "AAEC/w");
  EXPECT_EQ(FromBase64("AAEC/w"), bytes);
  EXPECT_EQ(FromBase64("AAEC/w=="), bytes);
  EXPECT_EQ(FromBase64("%%%"), std::nullopt);
}

TEST(WireTextTest, WhatIsTheTransportsIsNotHandedOn) {
  for (const char* const own : {":path", "te", "content-type", "grpc-timeout", "user-agent", ""}) {
    EXPECT_TRUE(IsReservedHeader(own)) << own;
  }
  for (const char* const theirs : {"traceparent", "x-routing-key", "authorization", "data-bin"}) {
    EXPECT_FALSE(IsReservedHeader(theirs)) << theirs;
  }
}

}  // namespace
}  // namespace tidewheel::rpc
