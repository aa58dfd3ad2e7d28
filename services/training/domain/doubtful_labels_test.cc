#include "tidewheel/training/domain/doubtful_labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidewheel::training {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;

/// Two clouds on a line, one for each class.
std::vector<LabeledSample> TwoClouds(std::size_t each) {
  std::vector<LabeledSample> labeled;
  for (std::size_t i = 0; i < 2 * each; ++i) {
    const bool second = i >= each;
    LabeledSample sample;
    sample.sample.sample_id = "s" + std::to_string(i);
    sample.class_name = second ? "green" : "red";
    sample.embedding = {static_cast<float>(i % each) * 0.1F + (second ? 50.0F : 0.0F), 1};
    labeled.push_back(sample);
  }
  return labeled;
}

TEST(DoubtfulLabelsTest, ALabelAloneAmongOthersIsDoubtful) {
  auto labeled = TwoClouds(20);
  EXPECT_THAT(DoubtfulLabels(labeled, 5), IsEmpty());
  labeled[7].class_name = "green";
  labeled[31].class_name = "red";
  const auto doubtful = DoubtfulLabels(labeled, 5);
  EXPECT_THAT(doubtful, ElementsAre(Field(&CycleSample::sample_id, "s7"),
                                    Field(&CycleSample::sample_id, "s31")));
  EXPECT_EQ(doubtful[0].reason, "doubtful");
  EXPECT_THAT(DoubtfulLabels(labeled, 1), ElementsAre(Field(&CycleSample::sample_id, "s7")));
}

TEST(DoubtfulLabelsTest, WithoutLabelOrEmbeddingNothingIsSaidOfASample) {
  auto labeled = TwoClouds(20);
  labeled[7].class_name = "green";
  labeled[7].embedding.clear();
  labeled[8].class_name.clear();
  EXPECT_THAT(DoubtfulLabels(labeled, 5), IsEmpty());
}

TEST(DoubtfulLabelsTest, FewSamplesHaveNoNeighbours) {
  auto labeled = TwoClouds(8);
  labeled[3].class_name = "green";
  EXPECT_THAT(DoubtfulLabels(labeled, 5), IsEmpty());
}

TEST(DoubtfulLabelsTest, TheShareOfLabelsBuysTwoVotesEach) {
  CyclePolicy policy;
  policy.max_labels = 100;
  EXPECT_EQ(ReviewedAtMost(policy), 0U);
  policy.review_share = 0.12;
  EXPECT_EQ(ReviewedAtMost(policy), 6U);
  policy.review_share = 0.29;
  EXPECT_EQ(ReviewedAtMost(policy), 14U);
}

}  // namespace
}  // namespace tidewheel::training
