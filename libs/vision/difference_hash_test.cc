#include "tidewheel/vision/difference_hash.h"

#include <gtest/gtest.h>

#include "tidewheel/base/random.h"
#include "tidewheel/vision/box_filter.h"

namespace tidewheel::vision {
namespace {

Image Blobs(std::uint64_t seed, int width, int height, int channels) {
  Random random(seed);
  Image small = Image::Filled(7, 9, channels, 0);
  for (auto& pixel : small.pixels) pixel = static_cast<std::uint8_t>(random.Below(256));
  return BoxResize(small, width, height);
}

TEST(DifferenceHashTest, RisingRowsAreOnesFallingAndFlatRowsAreZeros) {
  Image image = Image::Filled(9, 16, 1, 0);
  for (int y = 0; y < 16; ++y) {
    for (int x = 0; x < 9; ++x) {
      image.pixels[image.Offset(x, y)] = static_cast<std::uint8_t>(y < 8 ? 20 * x : 200 - 20 * x);
    }
  }
  EXPECT_EQ(DifferenceHash(image), (Hash128{~std::uint64_t{0}, 0}));
  EXPECT_EQ(DifferenceHash(Image::Filled(30, 30, 3, 77)), Hash128{});
  EXPECT_EQ(DifferenceHash(Image{}), Hash128{});
}

TEST(DifferenceHashTest, ASmallPictureIsHashedPixelByPixel) {
  // At 9 x 16 the triangle filter leaves every pixel as it is: bit (row, column) can be read off.
  Image image = Image::Filled(9, 16, 1, 50);
  image.pixels[image.Offset(1, 0)] = 60;
  EXPECT_EQ(DifferenceHash(image), (Hash128{std::uint64_t{1} << 63, 0}));
}

TEST(DifferenceHashTest, BrightnessContrastAndSizeHardlyMatter) {
  const Image image = Blobs(1, 90, 130, 3);
  Image dimmer = image;
  for (auto& pixel : dimmer.pixels) pixel = static_cast<std::uint8_t>(20 + pixel * 3 / 4);

  EXPECT_LE(HammingDistance(DifferenceHash(image), DifferenceHash(dimmer)), 3);
  EXPECT_LE(HammingDistance(DifferenceHash(image), DifferenceHash(BoxResize(image, 45, 65))), 4);
  EXPECT_GT(HammingDistance(DifferenceHash(image), DifferenceHash(Blobs(2, 90, 130, 3))), 30);
}

TEST(DifferenceHashTest, EverySizeHasAHash) {
  for (const int width : {1, 2, 8, 9, 10, 300}) {
    for (const int height : {1, 15, 16, 17, 500}) {
      const Image image = Blobs(9, width, height, 1);
      EXPECT_EQ(DifferenceHash(image), DifferenceHash(image)) << width << " x " << height;
    }
  }
}

TEST(DifferenceHashTest, HexRoundTrip) {
  const Hash128 hash{0x0123456789ABCDEFULL, 0xFEDCBA9876543210ULL};
  EXPECT_EQ(hash.Hex(), "0123456789abcdeffedcba9876543210");
  EXPECT_EQ(*Hash128::FromHex(hash.Hex()), hash);
  EXPECT_FALSE(Hash128::FromHex("012").ok());
  EXPECT_FALSE(Hash128::FromHex(std::string(32, 'g')).ok());
}

TEST(HammingDistanceTest, IsAMetric) {
  Random random(4);
  for (int i = 0; i < 200; ++i) {
    const Hash128 a{random.Next(), random.Next()};
    const Hash128 b{random.Next(), random.Next()};
    const Hash128 c{random.Next(), random.Next()};
    EXPECT_EQ(HammingDistance(a, a), 0);
    EXPECT_EQ(HammingDistance(a, b), HammingDistance(b, a));
    EXPECT_LE(HammingDistance(a, c), HammingDistance(a, b) + HammingDistance(b, c));
  }
}

}  // namespace
}  // namespace tidewheel::vision
