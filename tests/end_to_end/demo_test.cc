#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/tests/platform/reports.h"

namespace tidewheel::tests {
namespace {

using ::testing::HasSubstr;

class DemoTest : public PlatformTest {};

TEST_F(DemoTest, TellsTheWholeStoryOnDrawnPicturesAndASecondTimeChangesNothing) {
  ASSERT_NE(platform_, nullptr);
  const auto first =
      RunDemo(*platform_, {"--seed", "1", "--count", "800"}, std::chrono::seconds(150));

  ASSERT_EQ(first.program.status, 0) << first.program.output << first.program.errors;
  for (const auto& name : RequiredFigures({"red", "yellow", "green"})) {
    EXPECT_TRUE(first.figures.contains(name) && first.figures.at(name)) << name;
  }
  const auto figure = [&](const std::string& name) { return first.figures.at(name).value_or(-1); };
  EXPECT_EQ(figure("demo.planted.found"), figure("demo.planted.pictures"));
  EXPECT_EQ(figure("demo.samples.quarantined"), figure("demo.planted.pictures"));
  EXPECT_EQ(figure("demo.samples.accepted"), 800);
  EXPECT_GT(figure("demo.consensus.majority.accuracy"), 0.95);
  EXPECT_GT(figure("demo.consensus.dawid_skene.accuracy"), 0.97);
  EXPECT_GT(figure("demo.cnn.test.accuracy"), 0.9);
  EXPECT_GT(figure("demo.monitoring.accuracy"), 0.9);
  EXPECT_LT(figure("demo.predict.largest_difference"), 1e-3);
  EXPECT_GT(figure("demo.trace.votes"), 2'000);
  EXPECT_THAT(first.program.output, HasSubstr("McNemar"));
  EXPECT_THAT(first.program.output, HasSubstr("dataset version"));

  const auto second =
      RunDemo(*platform_, {"--seed", "1", "--count", "800"}, std::chrono::seconds(150));

  ASSERT_EQ(second.program.status, 0) << second.program.output << second.program.errors;
  EXPECT_THAT(second.program.output, HasSubstr("nothing changed: all of it was there already"));
  EXPECT_THAT(second.program.output, HasSubstr("the same content was built before"));
  for (const char* name :
       {"demo.samples.accepted", "demo.samples.quarantined", "demo.dataset.imbalance",
        "demo.linear.test.accuracy", "demo.cnn.test.accuracy", "demo.cnn.test.recall.yellow"}) {
    EXPECT_EQ(second.figures.at(name), first.figures.at(name)) << name;
  }
}

TEST_F(DemoTest, SaysWhatIsWrongWithItsArguments) {
  ASSERT_NE(platform_, nullptr);
  const auto unknown = RunProgram({"tidewheel-demo", "--nonsense"}, std::chrono::seconds(20));
  EXPECT_EQ(unknown.status, 2);
  const auto nowhere = RunProgram({"tidewheel-demo", "--platform", "/nonexistent/platform.json",
                                   "--report", (platform_->folder() / "r.json").string()},
                                  std::chrono::seconds(20));
  EXPECT_EQ(nowhere.status, 1);
  EXPECT_THAT(nowhere.errors, HasSubstr("/nonexistent/platform.json"));
  const auto no_pictures = RunProgram({"tidewheel-demo", "--platform", platform_->file().string(),
                                       "--data", platform_->folder().string()},
                                      std::chrono::seconds(20));
  EXPECT_EQ(no_pictures.status, 1);
  EXPECT_THAT(no_pictures.errors, HasSubstr("neither traffic lights"));
}

}  // namespace
}  // namespace tidewheel::tests
