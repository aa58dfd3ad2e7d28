#include "tidewheel/monitoring/domain/window_pump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tidewheel::monitoring {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST(WindowPumpTest, FeaturesComeInTheProfilesOrder) {
  Profile profile;
  for (const char* name : {"a", "b", "c"}) {
    profile.features.emplace_back();
    profile.features.back().name = name;
  }
  WindowRows window;
  window.features = {"c", "new", "a"};
  window.rows.resize(2);
  window.rows[0].features = {3, kNaN, 1};
  window.rows[1].features = {kNaN, 5};
  AlignFeatures(profile, &window);
  EXPECT_EQ(window.features, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(window.rows[0].features[0], 1);
  EXPECT_TRUE(std::isnan(window.rows[0].features[1]));
  EXPECT_EQ(window.rows[0].features[2], 3);
  EXPECT_TRUE(window.rows[0].unknown_features.empty());
  EXPECT_THAT(window.rows[1].features, ::testing::Each(::testing::IsNan()));
  EXPECT_EQ(window.rows[1].unknown_features, std::vector<std::string>{"new"});
}

TEST(ObserverTest, SlicesAreTheValuesOfTheKeysThatAreThere) {
  const std::map<std::string, std::string> metadata = {{"camera", "north"}, {"weather", "rain"}};
  EXPECT_EQ(SlicesOf(metadata, {"weather", "lane", "camera"}),
            (std::vector<std::string>{"weather=rain", "camera=north"}));
  EXPECT_EQ(SlicesOf({{"k", std::string(1'000, 'x')}}, {"k"})[0].size(), 200U);
}

}  // namespace
}  // namespace tidewheel::monitoring
