#include "tidewheel/vision/quality.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/base/random.h"

namespace tidewheel::vision {
namespace {

using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

auto Is(QualityProblem problem) { return Field(&QualityIssue::problem, problem); }

Image Noise(int width, int height, std::uint64_t levels) {
  Random random(5);
  Image image = Image::Filled(width, height, 3, 100);
  for (auto& pixel : image.pixels) pixel = static_cast<std::uint8_t>(100 + random.Below(levels));
  return image;
}

std::string MessageOf(const Measures& measures, const QualityRules& rules) {
  const auto issues = Check(measures, rules);
  return issues.size() == 1 ? issues[0].message : std::to_string(issues.size()) + " issues";
}

TEST(QualityTest, BlackIsUnderexposedAndWhiteIsOverexposedAndNothingElse) {
  EXPECT_THAT(Check(Measure(Image::Filled(30, 60, 3, 0)), {}),
              ElementsAre(Is(QualityProblem::kUnderexposed)));
  EXPECT_THAT(Check(Measure(Image::Filled(30, 60, 3, 255)), {}),
              ElementsAre(Is(QualityProblem::kOverexposed)));
}

TEST(QualityTest, ASensorsNoiseDoesNotMakeABlackOrWhitePictureGood) {
  Image black = Noise(30, 60, 7);
  Image white = black;
  for (auto& pixel : black.pixels) pixel = static_cast<std::uint8_t>(pixel - 100);
  for (auto& pixel : white.pixels) pixel = static_cast<std::uint8_t>(pixel + 149);
  EXPECT_THAT(Check(Measure(black), {}), ElementsAre(Is(QualityProblem::kUnderexposed)));
  EXPECT_THAT(Check(Measure(white), {}), ElementsAre(Is(QualityProblem::kOverexposed)));
}

TEST(QualityTest, AFlatPictureIsBlurred) {
  EXPECT_THAT(Check(Measure(Image::Filled(30, 60, 3, 128)), {}),
              ElementsAre(Is(QualityProblem::kBlurred)));
}

TEST(QualityTest, ADetailedPictureIsGood) {
  EXPECT_THAT(Check(Measure(Noise(30, 60, 100)), {}), IsEmpty());
}

TEST(QualityTest, MessagesNameTheMeasureItsValueAndTheLimit) {
  EXPECT_EQ(MessageOf(Measure(Noise(6, 40, 100)), {}), "6 x 40 pixels: a side is below 8");
  EXPECT_EQ(MessageOf(Measure(Noise(100, 40, 100)), {.max_side = 64}),
            "100 x 40 pixels: a side is above 64");
  const Measures grey = Measure(Image::Filled(30, 60, 3, 51));
  EXPECT_EQ(MessageOf(grey, {.min_mean_luminance = 0.25}), "mean luminance 0.2 is below 0.25");
  EXPECT_EQ(MessageOf(grey, {.max_mean_luminance = 0.15}), "mean luminance 0.2 is above 0.15");
  EXPECT_EQ(MessageOf(grey, {}), "relative sharpness 0 is below 0.07");
}

TEST(QualityTest, AnIssueCarriesValueAndLimit) {
  const auto issues = Check(Measure(Noise(6, 40, 100)), {});
  EXPECT_THAT(issues, ElementsAre(AllOf(Field(&QualityIssue::value, 6.0),
                                        Field(&QualityIssue::limit, 8.0))));
}

TEST(QualityTest, SharesJudgeWhereTheMeanDoesNot) {
  Image image = Image::Filled(100, 10, 1, 0);
  for (std::size_t i = 0; i < 40; ++i) image.pixels[i * 25] = 255;
  const Measures measures = Measure(image);
  EXPECT_THAT(MessageOf(measures, {.max_dark_share = 0.9}), HasSubstr("share of dark pixels 0.96"));
  EXPECT_THAT(MessageOf(measures, {.max_bright_share = 0.03}),
              HasSubstr("share of bright pixels 0.04"));
}

TEST(QualityTest, BlurIsNotJudgedWhereThereIsNoRoomForIt) {
  EXPECT_THAT(Check(Measure(Image::Filled(7, 60, 3, 128)), {.min_side = 0}), IsEmpty());
}

TEST(QualityTest, EveryRuleCanBeSwitchedOff) {
  const QualityRules off{.min_side = 0,
                         .max_side = 0,
                         .min_mean_luminance = 0,
                         .max_mean_luminance = 0,
                         .max_dark_share = 0,
                         .max_bright_share = 0,
                         .min_sharpness = 0};
  EXPECT_THAT(Check(Measure(Image::Filled(1, 20'000, 1, 0)), off), IsEmpty());
  EXPECT_THAT(Check(Measure(Image::Filled(30, 60, 1, 255)), off), IsEmpty());
}

}  // namespace
}  // namespace tidewheel::vision
