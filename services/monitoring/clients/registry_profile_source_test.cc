#include "tidewheel/monitoring/clients/registry_profile_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/training/v1/profile.pb.h"

namespace tidewheel::monitoring {
namespace {

training::v1::ReferenceProfile Written() {
  training::v1::ReferenceProfile profile;
  profile.set_format_version(1);
  profile.add_classes("red");
  auto* feature = profile.add_features();
  feature->set_name("luminance");
  stats::Moments moments;
  EXPECT_TRUE(moments.Add(0.25).ok());
  feature->set_moments(moments.ToBytes());
  auto sketch = stats::QuantileSketch::Create().value();
  EXPECT_TRUE(sketch.Add(0.25).ok());
  feature->set_quantile_sketch(sketch.ToBytes());
  feature->set_missing(3);
  profile.mutable_predictions()->add_confusion(7);
  profile.mutable_embedding()->add_mean(1);
  profile.mutable_embedding()->add_covariance(4);
  auto* row = profile.add_rows();
  row->set_split("test");
  row->add_features(0.25);
  row->add_embedding(1.5F);
  profile.set_seed(11);
  return profile;
}

TEST(ParseProfileTest, ReadsWhatTrainingWrites) {
  const auto profile = ParseProfile(Written().SerializeAsString());
  ASSERT_TRUE(profile.ok()) << profile.error().message;
  EXPECT_EQ(profile->classes, std::vector<std::string>{"red"});
  ASSERT_EQ(profile->features.size(), 1U);
  EXPECT_EQ(*profile->features[0].moments.Mean(), 0.25);
  EXPECT_EQ(profile->features[0].sketch->count(), 1U);
  EXPECT_EQ(profile->features[0].missing, 3U);
  EXPECT_EQ(profile->predictions.confusion, std::vector<std::uint64_t>{7});
  EXPECT_EQ(profile->embedding.covariance, std::vector<double>{4});
  EXPECT_EQ(profile->rows.at(0).features, std::vector<double>{0.25});
  EXPECT_EQ(profile->seed, 11U);
}

TEST(ParseProfileTest, SaysWhatIsWrong) {
  auto written = Written();
  written.set_format_version(2);
  EXPECT_THAT(ParseProfile(written.SerializeAsString()).error().message,
              ::testing::HasSubstr("format 2"));
  written = Written();
  written.mutable_embedding()->add_mean(2);
  EXPECT_THAT(ParseProfile(written.SerializeAsString()).error().message,
              ::testing::HasSubstr("1 covariances of 2"));
  written = Written();
  written.mutable_rows(0)->add_features(2);
  EXPECT_EQ(ParseProfile(written.SerializeAsString()).error().code, ErrorCode::kDataLoss);
  written = Written();
  written.mutable_features(0)->set_moments("rubbish");
  EXPECT_THAT(ParseProfile(written.SerializeAsString()).error().message,
              ::testing::HasSubstr("luminance"));
  EXPECT_EQ(ParseProfile("\xFF").error().code, ErrorCode::kDataLoss);
}

TEST(RegistryProfileSourceTest, WithoutAPayloadStoreNoModelHasOne) {
  RegistryProfileSource source("127.0.0.1:1", nullptr);
  const auto profile = source.ProfileOf({"lights", "model-1"});
  ASSERT_TRUE(profile.ok());
  EXPECT_EQ(*profile, nullptr);
}

}  // namespace
}  // namespace tidewheel::monitoring
