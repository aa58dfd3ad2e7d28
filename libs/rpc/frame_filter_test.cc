#include "tidewheel/rpc/internal/frame_filter.h"

#include <gtest/gtest.h>

#include <string>

namespace tidewheel::rpc {
namespace {

const std::string kBeginning = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

std::string Frame(char type, char stream, const std::string& payload) {
  return std::string{0, 0, static_cast<char>(payload.size()), type, 0, 0, 0, 0, stream} + payload;
}
std::string Headers(char stream) { return Frame(1, stream, "some headers"); }
std::string Data(char stream) { return Frame(0, stream, "data"); }
std::string Reset(char stream) { return Frame(3, stream, std::string("\0\0\0\x08", 4)); }

TEST(FrameFilterTest, OnlyResetsOfStreamsThatWereNeverOpenedAreLeftOut) {
  const std::string came = kBeginning + Frame(4, 0, "") + Headers(1) + Reset(3) + Data(1) +
                           Reset(1) + Reset(5) + Reset(7) + Headers(9) + Reset(7) + Reset(9) +
                           Frame(3, 11, "odd one") + Reset(13) + Data(9);
  const std::string kept = kBeginning + Frame(4, 0, "") + Headers(1) + Data(1) + Reset(1) +
                           Headers(9) + Reset(7) + Reset(9) + Frame(3, 11, "odd one") + Data(9);
  for (std::size_t piece = 1; piece <= came.size(); ++piece) {
    FrameFilter filter;
    std::string used;
    for (std::size_t at = 0; at < came.size(); at += piece) {
      ASSERT_TRUE(filter.Pass(std::string_view(came).substr(at, piece), [&](std::string_view part) {
        used += part;
        return true;
      }));
    }
    ASSERT_EQ(used, kept) << piece;
  }
}

TEST(FrameFilterTest, WhoeverUsesTheBytesMayStop) {
  FrameFilter filter;
  int used = 0;
  EXPECT_FALSE(filter.Pass(kBeginning + Headers(1), [&](std::string_view) { return ++used < 2; }));
  EXPECT_EQ(used, 2);
}

}  // namespace
}  // namespace tidewheel::rpc
