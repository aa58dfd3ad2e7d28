#include "tidewheel/ml/package/golden.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tidewheel/base/random.h"

namespace tidewheel::ml {
namespace {

GoldenSamples TwoRows() {
  return {.rows = 2,
          .input_elements = 3,
          .output_elements = 2,
          .inputs = {0, 0.5f, 1, -1, 2, 3.25f},
          .probabilities = {0.25f, 0.75f, 1, 0}};
}

TEST(GoldenSamplesTest, WhatIsWrittenIsRead) {
  const auto bytes = PrintGoldenSamples(TwoRows());
  ASSERT_TRUE(bytes.ok());

  const auto read = ParseGoldenSamples(*bytes);

  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, TwoRows());
}

TEST(GoldenSamplesTest, CountsThatDoNotFitTheNumbersAreRefused) {
  auto golden = TwoRows();
  golden.rows = 3;
  EXPECT_FALSE(PrintGoldenSamples(golden).ok());
  golden = TwoRows();
  golden.probabilities.clear();
  EXPECT_FALSE(PrintGoldenSamples(golden).ok());
}

TEST(GoldenSamplesTest, EveryShorterOrLongerFileIsRefused) {
  const std::string bytes = PrintGoldenSamples(TwoRows()).value();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ParseGoldenSamples(bytes.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(ParseGoldenSamples(bytes + '\0').ok());
}

TEST(GoldenSamplesTest, HostileCountsAskForNoMemory) {
  std::string bytes = PrintGoldenSamples(TwoRows()).value();
  for (std::size_t at = 8; at < 32; ++at) {
    std::string hostile = bytes;
    hostile[at] = '\x7f';
    EXPECT_FALSE(ParseGoldenSamples(hostile).ok()) << at;
  }
  bytes.replace(8, 24, std::string(24, '\xff'));
  EXPECT_FALSE(ParseGoldenSamples(bytes).ok());
}

TEST(GoldenSamplesTest, NumbersMustBeFinite) {
  auto golden = TwoRows();
  golden.inputs[1] = std::numeric_limits<float>::quiet_NaN();

  const auto read = ParseGoldenSamples(PrintGoldenSamples(golden).value());

  ASSERT_FALSE(read.ok());
  EXPECT_THAT(read.error().message, ::testing::HasSubstr("not finite"));
}

}  // namespace
}  // namespace tidewheel::ml
