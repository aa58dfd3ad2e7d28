#include <gtest/gtest.h>

#include "data_folder.h"
#include "tidewheel/tests/platform/reports.h"

namespace tidewheel::tests {
namespace {

class FashionMnistTest : public PlatformTest {};

TEST_F(FashionMnistTest, FiveThousandPicturesGoTheWholeWay) {
  TIDEWHEEL_NEEDS_DATA(folder, "fashion_mnist")
  ASSERT_NE(platform_, nullptr);
  const auto demo = RunDemo(*platform_, {"--data", folder.string(), "--limit", "5000"},
                            std::chrono::seconds(200));

  ASSERT_EQ(demo.program.status, 0) << demo.program.output << demo.program.errors;
  EXPECT_EQ(demo.figures.at("demo.planted.found"), demo.figures.at("demo.planted.pictures"));
  EXPECT_GE(demo.figures.at("demo.samples.accepted").value_or(0), 4'999);
  EXPECT_GT(demo.figures.at("demo.cnn.test.accuracy").value_or(0), 0.75);
  EXPECT_GT(demo.figures.at("demo.stage.push.per_second").value_or(0), 500);
}

}  // namespace
}  // namespace tidewheel::tests
