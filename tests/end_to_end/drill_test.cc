#include "drill_test.h"

#include <gmock/gmock.h>

namespace tidewheel::tests {
namespace {

using ::testing::HasSubstr;

double Figure(const DemoEnd& end, const std::string& name) {
  const auto found = end.figures.find(name);
  return found == end.figures.end() ? -1 : found->second.value_or(-1);
}

TEST(DrillTest, TurnedLightsAreNoticedLearnedAndServedByNobodysHand) {
  const auto end = RunDrill({"rotate", "--seed", "1", "--requests", "300", "--no-oracle"},
                            std::chrono::seconds(560));
  SCOPED_TRACE(end.program.output + end.program.errors);
  EXPECT_THAT(end.program.output, HasSubstr("cycle promoted"));
  EXPECT_EQ(Figure(end, "drill.rotate.cause.right"), 1);
  EXPECT_GE(Figure(end, "drill.rotate.detection.requests"), 1);
  EXPECT_LE(Figure(end, "drill.rotate.labels"), 100);
  EXPECT_LT(Figure(end, "drill.rotate.accuracy.during"), 0.8);
  EXPECT_GT(Figure(end, "drill.rotate.accuracy.after"), 0.9);
  EXPECT_LE(Figure(end, "drill.rotate.old_loss"), 0.02);
  EXPECT_EQ(Figure(end, "drill.rotate.lost"), 0);
  EXPECT_EQ(Figure(end, "drill.rotate.predictions.surplus"), 0);
}

TEST(DrillTest, ASickCameraIsNamedAndNothingIsLearnedFromIt) {
  const auto end =
      RunDrill({"fault", "--seed", "1", "--requests", "300"}, std::chrono::seconds(300));
  SCOPED_TRACE(end.program.output + end.program.errors);
  EXPECT_EQ(Figure(end, "drill.fault.cause.right"), 1);
  EXPECT_EQ(Figure(end, "drill.fault.cycles"), 0);
  EXPECT_GE(Figure(end, "drill.fault.decisions.sensor_fault"), 1);
  EXPECT_EQ(Figure(end, "drill.fault.lost"), 0);
}

TEST(DrillTest, SaysWhatIsWrongWithItsArguments) {
  const auto unknown = RunProgram({"tidewheel-drill", "earthquake"}, std::chrono::seconds(20));
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.errors, HasSubstr("rotate"));
  const auto nowhere = RunProgram(
      {"tidewheel-drill", "calm", "--count", "300", "--platform", "/nonexistent/platform.json"},
      std::chrono::seconds(60));
  EXPECT_EQ(nowhere.status, 1);
  EXPECT_THAT(nowhere.errors, HasSubstr("/nonexistent/platform.json"));
}

}  // namespace
}  // namespace tidewheel::tests
