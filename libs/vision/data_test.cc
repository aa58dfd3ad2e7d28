#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tidewheel/vision/decode.h"
#include "tidewheel/vision/encode.h"
#include "tidewheel/vision/near_duplicate_index.h"
#include "tidewheel/vision/preprocess.h"
#include "tidewheel/vision/quality.h"
#include "tidewheel/vision/testing/real_pictures.h"

namespace tidewheel::vision {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

// Separable Gaussian with repeated borders, three deviations wide.
Image Blurred(const Image& image, double deviation) {
  const int reach = static_cast<int>(std::ceil(3 * deviation));
  std::vector<double> weights;
  double total = 0;
  for (int i = -reach; i <= reach; ++i) {
    weights.push_back(std::exp(-i * i / (2 * deviation * deviation)));
    total += weights.back();
  }
  Image result = image;
  for (const bool across : {true, false}) {
    const Image from = result;
    for (int y = 0; y < image.height; ++y) {
      for (int x = 0; x < image.width; ++x) {
        for (int c = 0; c < image.channels; ++c) {
          double sum = 0;
          for (int i = -reach; i <= reach; ++i) {
            const int sx = across ? std::clamp(x + i, 0, image.width - 1) : x;
            const int sy = across ? y : std::clamp(y + i, 0, image.height - 1);
            sum += weights[static_cast<std::size_t>(i + reach)] *
                   from.pixels[from.Offset(sx, sy) + static_cast<std::size_t>(c)];
          }
          result.pixels[result.Offset(x, y) + static_cast<std::size_t>(c)] =
              static_cast<std::uint8_t>(std::lround(sum / total));
        }
      }
    }
  }
  return result;
}

class TrafficLightsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto folder = testing::FindDataFolder();
    if (!folder) GTEST_SKIP() << "no data folder; set TIDEWHEEL_DATA";
    const auto read = testing::TrafficLights(*folder);
    ASSERT_TRUE(read.ok()) << read.error().message;
    encoded_ = *read;
    for (const auto& picture : encoded_) {
      const auto image = Decode(picture.bytes);
      ASSERT_TRUE(image.ok()) << picture.path << ": " << image.error().message;
      images_.push_back(*image);
    }
  }

  std::vector<testing::EncodedPicture> encoded_;
  std::vector<Image> images_;
};

TEST_F(TrafficLightsTest, EveryRealPictureIsGood) {
  ASSERT_THAT(images_, SizeIs(1'484));
  for (std::size_t i = 0; i < images_.size(); ++i) {
    EXPECT_THAT(Check(Measure(images_[i]), {}), IsEmpty()) << encoded_[i].path;
  }
}

TEST_F(TrafficLightsTest, EveryBlackOrWhiteCopyIsCaught) {
  for (const Image& image : images_) {
    for (const int level : {0, 255}) {
      const auto issues = Check(
          Measure(Image::Filled(image.width, image.height, 3, static_cast<std::uint8_t>(level))),
          {});
      ASSERT_THAT(issues, SizeIs(1));
      EXPECT_EQ(issues[0].problem,
                level == 0 ? QualityProblem::kUnderexposed : QualityProblem::kOverexposed);
    }
  }
}

TEST_F(TrafficLightsTest, EveryHeavilyBlurredCopyIsCaughtAlsoAsJpeg) {
  for (std::size_t i = 0; i < images_.size(); ++i) {
    const Image blurred = Blurred(images_[i], images_[i].width / 8.0);
    const auto as_jpeg = Decode(*EncodeJpeg(blurred, 90));
    ASSERT_TRUE(as_jpeg.ok());
    for (const Image& copy : {blurred, *as_jpeg}) {
      const auto issues = Check(Measure(copy), {});
      ASSERT_THAT(issues, SizeIs(1)) << encoded_[i].path;
      EXPECT_EQ(issues[0].problem, QualityProblem::kBlurred);
    }
  }
}

TEST_F(TrafficLightsTest, HalfAFileIsUndecodable) {
  for (const auto& picture : encoded_) {
    EXPECT_FALSE(Decode(std::string_view(picture.bytes).substr(0, picture.bytes.size() / 2)).ok())
        << picture.path;
  }
}

TEST_F(TrafficLightsTest, TheIndexFindsThe26PairsThatBruteForceFinds) {
  std::vector<Hash128> hashes;
  for (const Image& image : images_) hashes.push_back(DifferenceHash(image));
  std::vector<std::array<std::size_t, 3>> expected;
  int across_splits = 0;
  int across_classes = 0;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const int distance = HammingDistance(hashes[i], hashes[j]);
      if (distance > 6) continue;
      expected.push_back({i, j, static_cast<std::size_t>(distance)});
      if (encoded_[i].split != encoded_[j].split) ++across_splits;
      if (encoded_[i].label != encoded_[j].label) ++across_classes;
    }
  }
  std::vector<std::array<std::size_t, 3>> found;
  NearDuplicateIndex index;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    for (const auto& match : index.Within(hashes[i], 6, 100)) {
      found.push_back(
          {i, static_cast<std::size_t>(match.id), static_cast<std::size_t>(match.distance)});
    }
    index.Add(hashes[i], i);
  }
  std::sort(found.begin(), found.end());
  std::sort(expected.begin(), expected.end());

  EXPECT_THAT(expected, SizeIs(26));
  EXPECT_EQ(across_splits, 9);
  EXPECT_EQ(across_classes, 0);
  EXPECT_EQ(found, expected);
}

TEST_F(TrafficLightsTest, AllArePreprocessedAlikeEveryTime) {
  const PreprocessSpec spec;
  std::vector<float> first(spec.OutputSize());
  std::vector<float> second(spec.OutputSize(), 9);
  for (std::size_t i = 0; i < images_.size(); ++i) {
    ASSERT_TRUE(Preprocess(images_[i], spec, first).ok());
    ASSERT_TRUE(Preprocess(*Decode(encoded_[i].bytes), spec, second).ok());
    ASSERT_EQ(first, second);
  }
}

class FashionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto folder = testing::FindDataFolder();
    if (!folder) GTEST_SKIP() << "no data folder; set TIDEWHEEL_DATA";
    const auto read =
        testing::IdxPictures(*folder / "fashion_mnist" / "train-images-idx3-ubyte.gz", 5'000);
    ASSERT_TRUE(read.ok()) << read.error().message;
    images_ = *read;
  }

  std::vector<Image> images_;
};

TEST_F(FashionTest, NoPictureIsRefused) {
  ASSERT_THAT(images_, SizeIs(5'000));
  for (const Image& image : images_) EXPECT_THAT(Check(Measure(image), {}), IsEmpty());
}

TEST_F(FashionTest, HeavilyBlurredCopiesAreCaught) {
  for (const Image& image : images_) EXPECT_THAT(Check(Measure(Blurred(image, 4)), {}), SizeIs(1));
}

TEST_F(FashionTest, TheIndexMissesFewOfTheCrowdedNeighbours) {
  // 52,553 of the pairs are within 6 bits here: flat backgrounds say nothing. The index looks at a
  // bounded share of them.
  NearDuplicateIndex index;
  std::vector<Hash128> hashes;
  int near = 0;
  int found = 0;
  for (std::size_t i = 0; i < images_.size(); ++i) {
    const Hash128 hash = DifferenceHash(images_[i]);
    const bool has_near = std::any_of(hashes.begin(), hashes.end(), [&](const Hash128& other) {
      return HammingDistance(hash, other) <= 6;
    });
    const auto match = index.Nearest(hash, 6);
    if (has_near) ++near;
    if (match) ++found;
    EXPECT_TRUE(has_near || !match);
    index.Add(hash, i);
    hashes.push_back(hash);
  }
  EXPECT_GT(near, 500);
  EXPECT_GE(found, near * 95 / 100);
}

}  // namespace
}  // namespace tidewheel::vision
