#include "tidewheel/monitoring/storage/packed_row.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace tidewheel::monitoring {
namespace {

const std::string kDigest(64, 'a');

TEST(PackedRowTest, ComesBackBitForBit) {
  const std::vector<float> probabilities = {0.1F, 0.9F};
  const std::vector<double> features = {1e-300, std::nan(""), -0.0, 12.25};
  const std::vector<std::string> problems = {"underexposed", ""};
  const auto row = Unpack(Pack(probabilities, features, {}, problems, kDigest));
  ASSERT_TRUE(row.ok()) << row.error().message;
  EXPECT_EQ(row->probabilities, probabilities);
  EXPECT_EQ(row->features[0], 1e-300);
  EXPECT_TRUE(std::isnan(row->features[1]));
  EXPECT_TRUE(std::signbit(row->features[2]));
  EXPECT_TRUE(row->embedding.empty());
  EXPECT_EQ(row->quality_problems, problems);
  EXPECT_EQ(row->payload_sha256, kDigest);
}

TEST(PackedRowTest, KeepsADigestThatIsNone) {
  for (const std::string& text : {std::string(), std::string("ABC"), std::string(64, 'A')}) {
    const auto row = Unpack(Pack({}, {}, {}, {}, text));
    ASSERT_TRUE(row.ok()) << row.error().message;
    EXPECT_EQ(row->payload_sha256, text);
  }
}

TEST(PackedRowTest, RefusesEveryBeginningOfARow) {
  const std::vector<float> numbers = {1, 2};
  const std::vector<std::string> problems = {"blurred"};
  const std::string whole = Pack(numbers, {}, numbers, problems, kDigest);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto row = Unpack(std::string_view(whole).substr(0, length));
    ASSERT_FALSE(row.ok()) << length;
    EXPECT_EQ(row.error().code, ErrorCode::kDataLoss);
  }
  EXPECT_FALSE(Unpack(whole + "x").ok());
}

}  // namespace
}  // namespace tidewheel::monitoring
