#include "tidewheel/vision/preprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "tidewheel/base/random.h"

namespace tidewheel::vision {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Image Noise(std::uint64_t seed, int width, int height, int channels) {
  Random random(seed);
  Image image = Image::Filled(width, height, channels, 0);
  for (auto& pixel : image.pixels) pixel = static_cast<std::uint8_t>(random.Below(256));
  return image;
}

PreprocessSpec Grey(int width, int height, Resize resize = Resize::kStretch) {
  return {
      .width = width, .height = height, .channels = 1, .resize = resize, .mean = {0}, .std = {1}};
}

std::vector<float> Preprocessed(const Image& image, const PreprocessSpec& spec) {
  std::vector<float> out(spec.OutputSize());
  const auto done = Preprocess(image, spec, out);
  EXPECT_TRUE(done.ok()) << done.error().message;
  return out;
}

TEST(PreprocessTest, TheSameSizeIsScaledAndNormalisedChannelByChannel) {
  const Image image{2, 1, 3, {0, 51, 255, 255, 102, 0}};
  const PreprocessSpec spec{.width = 2, .height = 1, .mean = {0.5, 0, 0}, .std = {0.5, 1, 2}};
  EXPECT_THAT(Preprocessed(image, spec), ElementsAre(-1.0F, 1.0F, 0.2F, 0.4F, 0.5F, 0.0F));
}

TEST(PreprocessTest, TheAreaFilterAveragesWhatAPixelCovers) {
  const Image image{3, 1, 1, {0, 90, 255}};
  // Each output covers one and a half pixels.
  const auto out = Preprocessed(image, Grey(2, 1));
  EXPECT_FLOAT_EQ(out[0], 45.0F / 1.5F / 255.0F);
  EXPECT_FLOAT_EQ(out[1], (45.0F + 255.0F) / 1.5F / 255.0F);
}

TEST(PreprocessTest, TheMeanSurvivesAnyStretch) {
  for (const auto& [width, height] :
       {std::pair{31, 17}, std::pair{8, 8}, std::pair{97, 3}, std::pair{200, 211}}) {
    const Image image = Noise(1, 57, 43, 1);
    double before = 0;
    for (const auto pixel : image.pixels) before += pixel / 255.0;
    const auto out = Preprocessed(image, Grey(width, height));
    double after = 0;
    for (const float value : out) after += value;
    EXPECT_NEAR(before / static_cast<double>(image.pixels.size()),
                after / static_cast<double>(out.size()), 1e-6);
  }
}

TEST(PreprocessTest, AFlatPictureStaysFlat) {
  for (const int width : {1, 7, 30, 31, 64}) {
    for (const float value :
         Preprocessed(Image::Filled(30, 62, 3, 51), {.width = width, .height = 32}))
      EXPECT_EQ(value, 0.2F);
  }
}

TEST(PreprocessTest, FitPadKeepsTheAspectRatioAndCentresOverBlack) {
  const auto tall = Preprocessed(Image::Filled(2, 4, 1, 255), Grey(4, 4, Resize::kFitPad));
  EXPECT_THAT(tall, ElementsAre(0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0));

  PreprocessSpec spec = Grey(3, 3, Resize::kFitPad);
  spec.mean = {0.5};
  const auto wide = Preprocessed(Image::Filled(90, 30, 1, 255), spec);
  EXPECT_THAT(wide, ElementsAre(-.5F, -.5F, -.5F, .5F, .5F, .5F, -.5F, -.5F, -.5F));

  const auto thin = Preprocessed(Image::Filled(1, 1'000, 1, 255), Grey(8, 8, Resize::kFitPad));
  EXPECT_EQ(std::count(thin.begin(), thin.end(), 1.0F), 8);
}

TEST(PreprocessTest, ChannelsAreMadeAsTheSpecAsks) {
  const Image red{1, 1, 3, {255, 0, 0}};
  EXPECT_FLOAT_EQ(Preprocessed(red, Grey(1, 1))[0], 76.0F / 255.0F);
  const Image grey{1, 1, 1, {51}};
  EXPECT_THAT(Preprocessed(grey, {.width = 1, .height = 1}), ElementsAre(0.2F, 0.2F, 0.2F));
  EXPECT_THAT(Preprocessed(grey, {.width = 2, .height = 1}),
              ElementsAre(0.2F, 0.2F, 0.2F, 0.2F, 0.2F, 0.2F));
}

TEST(PreprocessTest, TheBitsNeverChange) {
  // A model is trained on these values and served on them, by other compilers and on other
  // machines.
  std::string bits;
  for (const Resize resize : {Resize::kStretch, Resize::kFitPad}) {
    const PreprocessSpec spec{.width = 32,
                              .height = 32,
                              .resize = resize,
                              .mean = {0.485, 0.456, 0.406},
                              .std = {0.229, 0.224, 0.225}};
    for (const auto& [width, height] :
         {std::pair{30, 62}, std::pair{32, 32}, std::pair{111, 214}}) {
      for (const float value : Preprocessed(Noise(6, width, height, 3), spec)) {
        const auto word = std::bit_cast<std::uint32_t>(value);
        for (int shift = 0; shift < 32; shift += 8) bits += static_cast<char>(word >> shift & 255);
      }
    }
  }
  EXPECT_EQ(StableHash(bits), 6610756371622138706U);
}

TEST(PreprocessTest, APictureOfItsOwnSizeComesBackAsItWas) {
  for (const int channels : {1, 3}) {
    const Image image = Noise(7, 13, 9, channels);
    PreprocessSpec spec{.width = 13, .height = 9, .channels = channels};
    spec.mean.assign(static_cast<std::size_t>(channels), 0.485);
    spec.std.assign(static_cast<std::size_t>(channels), 0.229);
    const auto values = Preprocessed(image, spec);
    EXPECT_EQ(Restore(values, spec).value(), image);
  }
}

TEST(PreprocessTest, WhatNoPictureHasIsRestoredToTheNearest) {
  const auto spec = Grey(3, 1);
  const std::vector<float> values = {-7, 0.5F, 7};
  EXPECT_THAT(Restore(values, spec)->pixels, ElementsAre(0, 128, 255));
  EXPECT_FALSE(Restore(std::vector<float>{0, 0}, spec).ok());
  EXPECT_FALSE(Restore(std::vector<float>{0, 0, NAN}, spec).ok());
}

TEST(PreprocessTest, BadSpecsAreRefusedWithAllTheirProblems) {
  const PreprocessSpec spec{.width = 0, .height = 5'000, .channels = 2, .mean = {0}, .std = {0, 1}};
  const auto valid = spec.Validate();
  ASSERT_FALSE(valid.ok());
  EXPECT_EQ(valid.error().message,
            "preprocessing: width 0 is not in 1..4096; height 5000 is not in 1..4096; channels 2 "
            "is neither 1 nor 3; "
            "1 means for 2 channels; a deviation is not above zero");

  std::vector<float> out(5);
  EXPECT_THAT(Preprocess(Image::Filled(4, 4, 3, 0), {}, out).error().message, HasSubstr("3072"));
  out.resize(3'072);
  EXPECT_FALSE(Preprocess(Image{}, {}, out).ok());
}

TEST(ResizeTest, WordsRoundTrip) {
  EXPECT_EQ(*ParseResize("stretch"), Resize::kStretch);
  EXPECT_EQ(*ParseResize(Name(Resize::kFitPad)), Resize::kFitPad);
  EXPECT_FALSE(ParseResize("crop").ok());
}

}  // namespace
}  // namespace tidewheel::vision
