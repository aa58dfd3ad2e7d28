#include "tidewheel/training/worker/picture_transform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace tidewheel::training {
namespace {

using ::testing::HasSubstr;

/// 4 x 3, each pixel its place times ten, three channels apart by one.
vision::Image Ramp() {
  vision::Image image = vision::Image::Filled(4, 3, 3, 0);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<std::uint8_t>(10 * (i / 3) + i % 3);
  }
  return image;
}

double Mean(const vision::Image& image) {
  return std::accumulate(image.pixels.begin(), image.pixels.end(), 0.0) /
         static_cast<double>(image.pixels.size());
}

TEST(PictureTransformTest, EveryWordIsKnownAndOthersAreRefused) {
  for (const char* word : {"brighten", "darken", "shift", "blur", "noise"}) {
    EXPECT_TRUE(ParsePictureTransform(word).ok()) << word;
  }
  EXPECT_THAT(ParsePictureTransform("rotate").error().message, HasSubstr("brighten"));
}

TEST(PictureTransformTest, NothingIsChangedByNothing) {
  for (const auto transform :
       {PictureTransform::kBrighten, PictureTransform::kDarken, PictureTransform::kShift,
        PictureTransform::kBlur, PictureTransform::kNoise}) {
    EXPECT_EQ(Transformed(Ramp(), transform, 0, 1), Ramp());
    EXPECT_EQ(Transformed(Ramp(), transform, NAN, 1), Ramp());
  }
}

TEST(PictureTransformTest, BrightenAndDarkenAddAShareOfFullScaleAndClamp) {
  const auto brighter = Transformed(Ramp(), PictureTransform::kBrighten, 0.2, 1);
  EXPECT_EQ(brighter.pixels[0], 51);
  const auto darker = Transformed(Ramp(), PictureTransform::kDarken, 0.2, 1);
  EXPECT_EQ(darker.pixels[0], 0);
  EXPECT_EQ(darker.pixels[33], 110 - 51);
  const auto white = Transformed(Ramp(), PictureTransform::kBrighten, 5, 1);
  EXPECT_EQ(white, vision::Image::Filled(4, 3, 3, 255));
}

TEST(PictureTransformTest, ShiftMovesRightAndDownAndRepeatsTheEdge) {
  const auto shifted = Transformed(Ramp(), PictureTransform::kShift, 1, 1);
  const vision::Image original = Ramp();
  for (int y = 0; y < 3; ++y) {
    for (int x = 0; x < 4; ++x) {
      EXPECT_EQ(shifted.pixels[shifted.Offset(x, y)],
                original.pixels[original.Offset(std::max(0, x - 1), std::max(0, y - 1))]);
    }
  }
  // Farther than the picture is wide.
  EXPECT_EQ(Transformed(Ramp(), PictureTransform::kShift, 1e9, 1).pixels[33], 0);
}

TEST(PictureTransformTest, BlurKeepsAFlatPictureAndTheMeanAndSpreadsAPoint) {
  const auto flat = vision::Image::Filled(9, 7, 1, 77);
  EXPECT_EQ(Transformed(flat, PictureTransform::kBlur, 2, 1), flat);
  auto point = vision::Image::Filled(31, 31, 1, 0);
  point.pixels[point.Offset(15, 15)] = 255;
  const auto blurred = Transformed(point, PictureTransform::kBlur, 1, 1);
  // 255 / (2 pi).
  EXPECT_NEAR(blurred.pixels[blurred.Offset(15, 15)], 40.6, 1);
  EXPECT_EQ(blurred.pixels[blurred.Offset(14, 15)], blurred.pixels[blurred.Offset(15, 16)]);
  EXPECT_NEAR(Mean(blurred), Mean(point), 0.02);
}

TEST(PictureTransformTest, NoiseHasItsDeviationAndIsTheSeeds) {
  const auto grey = vision::Image::Filled(100, 100, 1, 128);
  const auto noisy = Transformed(grey, PictureTransform::kNoise, 0.05, 7);
  EXPECT_EQ(noisy, Transformed(grey, PictureTransform::kNoise, 0.05, 7));
  EXPECT_NE(noisy, Transformed(grey, PictureTransform::kNoise, 0.05, 8));
  double squares = 0;
  for (const std::uint8_t value : noisy.pixels)
    squares += std::pow(static_cast<double>(value) - 128, 2);
  EXPECT_NEAR(std::sqrt(squares / 10'000), 0.05 * 255, 0.3);
}

TEST(VariedTest, IsLikeThePictureAndNeverTheSameTwice) {
  // Dark on the left, bright on the right, and a bright corner: it would show turning or mirroring.
  vision::Image image = vision::Image::Filled(40, 30, 3, 40);
  for (int y = 0; y < 30; ++y) {
    for (int x = 20; x < 40; ++x) {
      for (std::size_t c = 0; c < 3; ++c) image.pixels[image.Offset(x, y) + c] = y < 10 ? 220 : 140;
    }
  }
  const auto mean = [](const vision::Image& of, int left, int right, int top, int bottom) {
    double sum = 0;
    for (int y = top; y < bottom; ++y) {
      for (int x = left; x < right; ++x) sum += of.pixels[of.Offset(x, y)];
    }
    return sum / ((right - left) * (bottom - top));
  };
  EXPECT_EQ(Varied(image, 3), Varied(image, 3));
  EXPECT_NE(Varied(image, 3), Varied(image, 4));
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto varied = Varied(image, seed);
    ASSERT_EQ(varied.width, 40);
    ASSERT_EQ(varied.height, 30);
    EXPECT_NEAR(mean(varied, 0, 15, 0, 30), 40, 0.2 * 40 + 0.04 * 255 + 2);
    EXPECT_GT(mean(varied, 25, 40, 0, 6), mean(varied, 25, 40, 15, 30) + 20);
    EXPECT_GT(mean(varied, 25, 40, 15, 30), mean(varied, 0, 15, 15, 30) + 40);
  }
}

}  // namespace
}  // namespace tidewheel::training
