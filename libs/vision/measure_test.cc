#include "tidewheel/vision/measure.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tidewheel/base/random.h"
#include "tidewheel/vision/box_filter.h"

namespace tidewheel::vision {
namespace {

Image Noise(int width, int height, int channels) {
  Random random(3);
  Image image = Image::Filled(width, height, channels, 0);
  for (auto& pixel : image.pixels) pixel = static_cast<std::uint8_t>(random.Below(256));
  return image;
}

TEST(MeasureTest, AFlatPictureHasOneLuminanceAndNoEdges) {
  const Measures measures = Measure(Image::Filled(40, 20, 3, 51));

  EXPECT_EQ(measures.width, 40);
  EXPECT_EQ(measures.height, 20);
  EXPECT_EQ(measures.aspect_ratio, 2);
  EXPECT_DOUBLE_EQ(measures.luminance_mean, 0.2);
  EXPECT_EQ(measures.luminance_std, 0);
  EXPECT_EQ(measures.contrast, 0);
  EXPECT_EQ(measures.sharpness, 0);
  EXPECT_EQ(measures.relative_sharpness, 0);
  EXPECT_EQ(measures.saturation, 0);
  EXPECT_EQ(measures.colourfulness, 0);
}

TEST(MeasureTest, HalfBlackHalfWhiteIsKnownInClosedForm) {
  Image image = Image::Filled(10, 10, 1, 0);
  for (int y = 5; y < 10; ++y) {
    for (int x = 0; x < 10; ++x) image.pixels[image.Offset(x, y)] = 255;
  }

  const Measures measures = Measure(image);

  EXPECT_DOUBLE_EQ(measures.luminance_mean, 0.5);
  EXPECT_DOUBLE_EQ(measures.luminance_std, 0.5);
  EXPECT_DOUBLE_EQ(measures.dark_share, 0.5);
  EXPECT_DOUBLE_EQ(measures.bright_share, 0.5);
  EXPECT_DOUBLE_EQ(measures.contrast, 1);
  // Two of eight inner rows see the edge: +255 above, -255 below; mean 0.
  EXPECT_DOUBLE_EQ(measures.sharpness, 255.0 * 255.0 * 2 / 8);
}

TEST(MeasureTest, PureColourIsFullySaturated) {
  Image red = Image::Filled(8, 8, 3, 0);
  for (std::size_t i = 0; i < red.pixels.size(); i += 3) red.pixels[i] = 255;
  EXPECT_DOUBLE_EQ(Measure(red).saturation, 1);
  EXPECT_DOUBLE_EQ(Measure(red).colourfulness, 0.3 * std::sqrt(1 + 0.25));
  EXPECT_NEAR(Measure(red).luminance_mean, 0.299, 0.002);
}

TEST(MeasureTest, ALargeCopyIsAboutAsSharpAsASmallOne) {
  const Image small = BoxResize(Noise(64, 64, 1), 256, 256);
  const Image large = BoxResize(small, 1'024, 1'024);
  EXPECT_NEAR(Measure(large).sharpness, Measure(small).sharpness, 0.05 * Measure(small).sharpness);
}

TEST(MeasureTest, RelativeSharpnessDoesNotDependOnContrast) {
  const Image strong = Noise(40, 60, 1);
  Image weak = strong;
  for (auto& pixel : weak.pixels) pixel = static_cast<std::uint8_t>(100 + pixel / 4);

  EXPECT_LT(Measure(weak).sharpness, Measure(strong).sharpness / 10);
  EXPECT_NEAR(Measure(weak).relative_sharpness, Measure(strong).relative_sharpness,
              0.05 * Measure(strong).relative_sharpness);
}

TEST(MeasureTest, BoundsHoldOnNoise) {
  for (const int channels : {1, 3}) {
    const Measures m = Measure(Noise(33, 57, channels));
    for (const double share : {m.luminance_mean, m.luminance_std, m.dark_share, m.bright_share,
                               m.contrast, m.saturation}) {
      EXPECT_GE(share, 0);
      EXPECT_LE(share, 1);
    }
    EXPECT_GT(m.relative_sharpness, 10);
    EXPECT_LT(m.relative_sharpness, 30);
  }
}

TEST(MeasureTest, NamesAndValuesAreInOneOrder) {
  const Measures measures = Measure(Noise(12, 10, 3));
  const auto values = ToArray(measures);
  EXPECT_EQ(kMeasureNames[0], "width");
  EXPECT_EQ(values[0], 12);
  EXPECT_EQ(kMeasureNames[8], "sharpness");
  EXPECT_EQ(values[8], measures.sharpness);
  EXPECT_EQ(kMeasureNames[11], "colourfulness");
  EXPECT_EQ(values[11], measures.colourfulness);
}

TEST(MeasureTest, NoPictureHasNoMeasures) { EXPECT_EQ(Measure(Image{}), Measures{}); }

}  // namespace
}  // namespace tidewheel::vision
