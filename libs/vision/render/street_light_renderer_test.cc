#include "tidewheel/vision/render/street_light_renderer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tidewheel/vision/preprocess.h"
#include "tidewheel/vision/quality.h"

namespace tidewheel::vision::render {
namespace {

using testing::IsEmpty;

std::vector<Image> Draw(std::uint64_t seed, std::size_t count) {
  Random random(seed);
  std::vector<Image> images;
  for (std::size_t i = 0; i < count; ++i) {
    images.push_back(Render(RandomScene(random, kSignals[i % 3], kConditions[i / 3 % 3])));
  }
  return images;
}

// A softmax regression by plain gradient steps: the share of right answers on the last third.
double LinearAccuracy(const std::vector<std::vector<double>>& rows, int epochs, double rate) {
  const std::size_t features = rows[0].size();
  const std::size_t split = rows.size() * 2 / 3 / 3 * 3;
  std::vector<std::vector<double>> weights(3, std::vector<double>(features, 0));
  const auto score = [&](std::size_t row, std::size_t c) {
    double sum = 0;
    for (std::size_t f = 0; f < features; ++f) sum += weights[c][f] * rows[row][f];
    return sum;
  };
  for (int epoch = 0; epoch < epochs; ++epoch) {
    for (std::size_t row = 0; row < split; ++row) {
      std::array<double, 3> p{score(row, 0), score(row, 1), score(row, 2)};
      const double top = *std::max_element(p.begin(), p.end());
      double total = 0;
      for (double& value : p) total += value = std::exp(value - top);
      for (std::size_t c = 0; c < 3; ++c) {
        const double step = rate * (p[c] / total - (row % 3 == c ? 1 : 0));
        for (std::size_t f = 0; f < features; ++f) weights[c][f] -= step * rows[row][f];
      }
    }
  }
  std::size_t right = 0;
  for (std::size_t row = split; row < rows.size(); ++row) {
    const std::array<double, 3> p{score(row, 0), score(row, 1), score(row, 2)};
    if (static_cast<std::size_t>(std::max_element(p.begin(), p.end()) - p.begin()) == row % 3) {
      ++right;
    }
  }
  return static_cast<double>(right) / static_cast<double>(rows.size() - split);
}

TEST(StreetLightRendererTest, TheSameSeedGivesTheSamePicturesEverywhere) {
  std::string bytes;
  for (const Image& image : Draw(1, 90)) bytes.append(image.pixels.begin(), image.pixels.end());
  EXPECT_EQ(StableHash(bytes), 15891683549394612901U);
}

TEST(StreetLightRendererTest, NoTwoSeedsGiveTheSamePicture) {
  const auto one = Draw(1, 30);
  const auto other = Draw(2, 30);
  for (const Image& image : one) {
    EXPECT_EQ(std::count(one.begin(), one.end(), image), 1);
    EXPECT_EQ(std::count(other.begin(), other.end(), image), 0);
  }
}

TEST(StreetLightRendererTest, EveryPicturePassesTheDefaultQualityRules) {
  for (const Image& image : Draw(3, 1'500)) {
    ASSERT_TRUE(IsWellFormed(image));
    EXPECT_GE(std::min(image.width, image.height), 16);
    EXPECT_GE(std::max(image.width, image.height), 36);
    EXPECT_LE(std::max(image.width, image.height), 88);
    EXPECT_THAT(Check(Measure(image), {}), IsEmpty());
  }
}

TEST(StreetLightRendererTest, ScenesVaryInShapeAndLamp) {
  Random random(4);
  int horizontal = 0;
  int led = 0;
  for (int i = 0; i < 1'000; ++i) {
    const StreetLightScene scene = RandomScene(random, Signal::kGreen, Condition::kDay);
    EXPECT_EQ(scene.horizontal, scene.width > scene.height);
    if (scene.horizontal) ++horizontal;
    if (scene.led) ++led;
  }
  EXPECT_NEAR(horizontal, 300, 60);
  EXPECT_NEAR(led, 500, 70);
}

TEST(StreetLightRendererTest, NightsAreDarkerThanDays) {
  Random random(5);
  const auto mean = [&](Condition condition) {
    double sum = 0;
    for (int i = 0; i < 100; ++i) {
      sum += Measure(Render(RandomScene(random, Signal::kRed, condition))).luminance_mean / 100;
    }
    return sum;
  };
  const double day = mean(Condition::kDay);
  EXPECT_LT(mean(Condition::kNight), day / 2);
  EXPECT_GT(mean(Condition::kGlare), day);
}

TEST(StreetLightRendererTest, TheMeanColourDoesNotGiveTheSignalAwayButItsPlaceDoes) {
  const auto images = Draw(6, 1'500);
  std::vector<std::vector<double>> colours;
  std::vector<std::vector<double>> places;
  for (const Image& image : images) {
    std::vector<double> row{1};
    for (const int side : {1, 16}) {
      const PreprocessSpec spec{.width = side, .height = side};
      std::vector<float> values(spec.OutputSize());
      ASSERT_TRUE(Preprocess(image, spec, values).ok());
      row.resize(1);
      row.insert(row.end(), values.begin(), values.end());
      (side == 1 ? colours : places).push_back(row);
    }
  }
  EXPECT_LT(LinearAccuracy(colours, 100, 0.1), 0.8);
  EXPECT_GT(LinearAccuracy(places, 30, 0.02), 0.93);
}

TEST(SignalTest, WordsRoundTrip) {
  for (const Signal signal : kSignals) EXPECT_EQ(*ParseSignal(Name(signal)), signal);
  EXPECT_FALSE(ParseSignal("blue").ok());
}

}  // namespace
}  // namespace tidewheel::vision::render
