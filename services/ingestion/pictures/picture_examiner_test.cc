#include "tidewheel/ingestion/pictures/picture_examiner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/base/random.h"
#include "tidewheel/vision/encode.h"
#include "tidewheel/vision/image.h"

namespace tidewheel::ingestion {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const QualityRules kRules{16ULL << 20, 1'000'000, 16, 2'000, 0.02, 0.975, 0.995, 0.98, 0.06};

vision::Image Noise(int width, int height) {
  Random random(7);
  auto image = vision::Image::Filled(width, height, 3, 0);
  for (auto& value : image.pixels) value = static_cast<std::uint8_t>(random.Below(256));
  return image;
}

std::vector<ReasonCode> Codes(const Examination& examination) {
  std::vector<ReasonCode> codes;
  for (const auto& reason : examination.reasons) codes.push_back(reason.code);
  return codes;
}

std::vector<ReasonCode> Codes(const vision::Image& image, const QualityRules& rules = kRules) {
  return Codes(PictureExaminer().Examine(*vision::EncodePng(image), rules));
}

TEST(PictureExaminerTest, AGoodPictureIsMeasuredAndHashed) {
  const auto png = vision::EncodePng(Noise(40, 30));
  ASSERT_TRUE(png.ok());

  const auto examination = PictureExaminer().Examine(*png, kRules);

  EXPECT_TRUE(examination.decoded);
  EXPECT_THAT(examination.reasons, IsEmpty());
  EXPECT_EQ(examination.width, 40U);
  EXPECT_EQ(examination.height, 30U);
  EXPECT_EQ(examination.content_type, "image/png");
  EXPECT_GT(examination.measures.at("relative_sharpness"), 1);
  EXPECT_NEAR(examination.measures.at("luminance_mean"), 0.5, 0.05);
  EXPECT_NE(examination.hash, PictureHash{});
}

TEST(PictureExaminerTest, SetsAsideWithTheReasonAndItsLimit) {
  EXPECT_THAT(Codes(Noise(8, 30)), ElementsAre(ReasonCode::kTooSmall));
  EXPECT_THAT(Codes(Noise(2'100, 20)), ElementsAre(ReasonCode::kTooLarge));
  EXPECT_THAT(Codes(vision::Image::Filled(32, 32, 3, 2)), ElementsAre(ReasonCode::kUnderexposed));
  EXPECT_THAT(Codes(vision::Image::Filled(32, 32, 3, 254)), ElementsAre(ReasonCode::kOverexposed));
  EXPECT_THAT(Codes(vision::Image::Filled(32, 32, 3, 128)), ElementsAre(ReasonCode::kBlurred));
  const auto small = PictureExaminer().Examine(*vision::EncodePng(Noise(8, 30)), kRules);
  EXPECT_THAT(small.reasons[0].message, HasSubstr("8"));
  EXPECT_THAT(small.reasons[0].message, HasSubstr("16"));
}

TEST(PictureExaminerTest, ALimitOfZeroSwitchesItsRuleOff) {
  QualityRules off;
  EXPECT_THAT(Codes(Noise(1, 1), off), IsEmpty());
  EXPECT_THAT(Codes(vision::Image::Filled(32, 32, 3, 0), off), IsEmpty());
  EXPECT_THAT(Codes(vision::Image::Filled(32, 32, 3, 255), off), IsEmpty());
}

TEST(PictureExaminerTest, WhatCannotBeDecodedIsAReasonToo) {
  const auto png = *vision::EncodePng(Noise(40, 30));
  const auto jpeg = *vision::EncodeJpeg(Noise(40, 30));
  for (const std::string& broken : {png.substr(0, png.size() / 2), jpeg.substr(0, jpeg.size() / 2),
                                    std::string("no picture"), std::string(1, '\0')}) {
    const auto examination = PictureExaminer().Examine(broken, kRules);
    EXPECT_FALSE(examination.decoded);
    EXPECT_THAT(Codes(examination), ElementsAre(ReasonCode::kUndecodable));
    EXPECT_NE(examination.reasons[0].message, "");
  }
}

TEST(PictureExaminerTest, WhatWouldCostTooMuchIsRefusedBeforeItIsDecoded) {
  // A PPM header that promises 30,000 x 30,000 pixels, with none behind it.
  EXPECT_THAT(Codes(PictureExaminer().Examine("P6\n30000 30000\n255\n", kRules)),
              ElementsAre(ReasonCode::kTooLarge));
  QualityRules tiny = kRules;
  tiny.max_payload_bytes = 100;
  const auto examination = PictureExaminer().Examine(*vision::EncodePng(Noise(40, 30)), tiny);
  EXPECT_THAT(Codes(examination), ElementsAre(ReasonCode::kTooLarge));
  EXPECT_THAT(examination.reasons[0].message, HasSubstr("100"));
}

TEST(PictureExaminerTest, HashesTheBytes) {
  EXPECT_EQ(PictureExaminer().Hash("abc").Hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace tidewheel::ingestion
