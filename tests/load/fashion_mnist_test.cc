#include <gtest/gtest.h>

#include "tidewheel/tests/platform/reports.h"
#include "tidewheel/vision/testing/real_pictures.h"

namespace tidewheel::tests {
namespace {

class FashionMnistLoadTest : public PlatformTest {};

TEST_F(FashionMnistLoadTest, SeventyThousandPicturesGoTheWholeWayInBoundedMemory) {
  const auto data = vision::testing::FindDataFolder();
  if (!data || !std::filesystem::exists(*data / "fashion_mnist")) {
    GTEST_SKIP() << "no data set fashion_mnist beside the checkout; set TIDEWHEEL_DATA";
  }
  ASSERT_NE(platform_, nullptr);
  const auto demo = RunDemo(*platform_, {"--data", (*data / "fashion_mnist").string()},
                            std::chrono::seconds(1'500));

  // 0: also the goals of accuracy and of pictures per second are met.
  EXPECT_EQ(demo.program.status, 0) << demo.program.output << demo.program.errors;
  EXPECT_EQ(demo.figures.at("demo.samples.accepted"), 70'000);
  EXPECT_GE(demo.figures.at("demo.cnn.test.accuracy").value_or(0), 0.90);
  EXPECT_GE(demo.figures.at("demo.stage.push.per_second").value_or(0), 2'000);
  for (const auto& service : cli::ServiceNames()) {
    EXPECT_LT(platform_->PeakMemory(service), std::uint64_t{800} << 20) << service;
  }
}

}  // namespace
}  // namespace tidewheel::tests
