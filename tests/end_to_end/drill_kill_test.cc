#include <gmock/gmock.h>

#include "drill_test.h"

namespace tidewheel::tests {
namespace {

TEST(DrillKillTest, ALoopWhoseProcessesAreKilledEndsInTheSamePromotedStateAndLosesNothing) {
  const auto end = RunDrill({"rotate", "--seed", "1", "--requests", "300", "--no-oracle", "--kill"},
                            std::chrono::seconds(1'500));
  SCOPED_TRACE(end.program.output + end.program.errors);
  for (const char* name : {"dataset_versions", "runs", "promotions"}) {
    EXPECT_EQ(end.figures.at("drill.rotate.once." + std::string(name)), 1.0) << name;
  }
  for (const char* name : {"once.votes_off", "once.samples_off", "lost", "predictions.surplus"}) {
    EXPECT_EQ(end.figures.at("drill.rotate." + std::string(name)), 0.0) << name;
  }
}

}  // namespace
}  // namespace tidewheel::tests
