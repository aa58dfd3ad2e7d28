#include "tidewheel/vision/preprocess_entries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidewheel::vision {
namespace {

using testing::HasSubstr;

TEST(PreprocessEntriesTest, ASpecComesBackBitEqual) {
  const PreprocessSpec spec{.width = 28,
                            .height = 30,
                            .channels = 3,
                            .resize = Resize::kFitPad,
                            .mean = {0.1, 1.0 / 3.0, -0.25},
                            .std = {0.229, 1e-3, 0.30000000000000004}};
  const auto read = FromEntries(ToEntries(spec));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, spec);
}

TEST(PreprocessEntriesTest, WhatIsNoSpecIsRefusedByName) {
  const auto message = [](const std::string& key, const std::string& value) {
    auto entries = ToEntries(PreprocessSpec{});
    entries[key] = value;
    const auto read = FromEntries(entries);
    return read.ok() ? "accepted" : read.error().message;
  };
  EXPECT_EQ(message("width", "32x"), "preprocessing.width: \"32x\" is not a value of it");
  EXPECT_THAT(message("resize", "crop"), HasSubstr("preprocessing.resize"));
  EXPECT_THAT(message("mean", "0,0,nan"), HasSubstr("preprocessing.mean"));
  EXPECT_THAT(message("std", "1,1,"), HasSubstr("preprocessing.std"));
  EXPECT_THAT(message("std", "1,1"), HasSubstr("2 deviations for 3 channels"));
  EXPECT_EQ(message("crop", "1"), "preprocessing.crop is unknown");
  EXPECT_EQ(FromEntries({}).error().message,
            "preprocessing needs width, height, channels, resize, mean and std");
}

}  // namespace
}  // namespace tidewheel::vision
