#include "tidewheel/training/worker/reference_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/mahalanobis.h"
#include "tidewheel/stats/moments.h"
#include "tidewheel/stats/quantile_sketch.h"

namespace tidewheel::training {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

ProfiledRows Rows(const std::string& split, std::size_t rows, std::uint64_t seed) {
  Random random(seed);
  ProfiledRows out;
  out.split = split;
  for (std::size_t row = 0; row < rows; ++row) {
    out.given.push_back(static_cast<std::int32_t>(row % 3));
    const float top = 0.5F + 0.5F * static_cast<float>(random.Uniform());
    // One answer in ten is the next class.
    const std::size_t answer = random.Uniform() < 0.1 ? (row + 1) % 3 : row % 3;
    for (std::size_t k = 0; k < 3; ++k) {
      out.probabilities.push_back(k == answer ? top : (1 - top) / 2);
    }
    out.features.push_back(random.Normal());
    out.features.push_back(random.Uniform() < 0.1 ? kMissing : random.Uniform());
    for (int i = 0; i < 4; ++i) out.embedding.push_back(static_cast<float>(random.Normal()));
  }
  return out;
}

class ReferenceProfileTest : public ::testing::Test {
 protected:
  ProfileSource Source(std::size_t validation, std::size_t test, std::size_t training) {
    training_ = Rows("training", training, 1);
    ProfileSource source;
    source.classes = {"red", "yellow", "green"};
    source.features = {"luminance", "haze"};
    source.training_features = training_.features;
    source.held_out = {Rows("validation", validation, 2), Rows("test", test, 3)};
    source.training_sample.split = "training";
    for (const std::uint32_t row : SampleTrainingRows(training, validation + test, 5)) {
      source.training_sample.given.push_back(training_.given[row]);
      const auto copy = [row](const auto& from, std::size_t width, auto& to) {
        const auto first = from.begin() + static_cast<std::ptrdiff_t>(row * width);
        to.insert(to.end(), first, first + static_cast<std::ptrdiff_t>(width));
      };
      copy(training_.features, 2, source.training_sample.features);
      copy(training_.probabilities, 3, source.training_sample.probabilities);
      copy(training_.embedding, 4, source.training_sample.embedding);
    }
    source.embedding_numbers = 4;
    source.projection_seed = 99;
    source.seed = 5;
    return source;
  }

  ProfiledRows training_;
};

TEST_F(ReferenceProfileTest, FeaturesAreThoseOfTheTrainingSplit) {
  const auto profile = MakeReferenceProfile(Source(60, 40, 500)).value();

  EXPECT_EQ(profile.format_version(), 1U);
  EXPECT_EQ(profile.training_rows(), 500U);
  EXPECT_EQ(profile.held_out_rows(), 100U);
  ASSERT_EQ(profile.features_size(), 2);
  EXPECT_EQ(profile.features(0).name(), "luminance");
  for (int feature = 0; feature < 2; ++feature) {
    const auto& described = profile.features(feature);
    const auto moments = stats::Moments::FromBytes(described.moments()).value();
    const auto sketch = stats::QuantileSketch::FromBytes(described.quantile_sketch()).value();
    EXPECT_EQ(moments.count() + described.missing(), 500U);
    EXPECT_EQ(sketch.count(), moments.count());
    EXPECT_EQ(moments.Min().value(), described.min());
    EXPECT_EQ(moments.Max().value(), described.max());
    ASSERT_EQ(described.counts_size(), described.cuts_size() + 1);
    EXPECT_EQ(std::accumulate(described.counts().begin(), described.counts().end(), 0ULL),
              moments.count());
    EXPECT_EQ(described.cuts_size(), 9);
    for (const std::uint64_t count : described.counts()) {
      EXPECT_NEAR(static_cast<double>(count), static_cast<double>(moments.count()) / 10, 2);
    }
    // As it is counted, so is it written down: a value is above every cut that is at most it.
    std::uint64_t below = 0;
    for (std::size_t i = static_cast<std::size_t>(feature); i < training_.features.size(); i += 2) {
      if (training_.features[i] < described.cuts(0)) ++below;
    }
    EXPECT_EQ(described.counts(0), below);
  }
  EXPECT_GT(profile.features(1).missing(), 20U);
}

TEST_F(ReferenceProfileTest, CommonValuesGetCellsOfTheirOwn) {
  ProfileSource source;
  source.classes = {"a", "b"};
  source.features = {"constant", "mostly_zero", "mostly_one"};
  std::vector<double> values;
  for (int row = 0; row < 100; ++row) {
    values.insert(values.end(), {7, row == 50 ? 0.5 : 0.0, row < 5 ? 0.1 * row : 1.0});
  }
  source.training_features = values;
  const auto profile = MakeReferenceProfile(source).value();
  EXPECT_THAT(profile.features(0).counts(), ElementsAre(0, 100, 0));
  EXPECT_EQ(profile.features(0).cuts(0), 7);
  EXPECT_THAT(profile.features(1).cuts(), ElementsAre(0.5));
  EXPECT_THAT(profile.features(1).counts(), ElementsAre(99, 1));
  EXPECT_THAT(profile.features(2).cuts(), ElementsAre(1));
  EXPECT_THAT(profile.features(2).counts(), ElementsAre(5, 95));
}

TEST_F(ReferenceProfileTest, PredictionsAreThoseOfTheHeldOutRows) {
  const auto source = Source(60, 40, 500);
  const auto predictions = MakeReferenceProfile(source).value().predictions();

  EXPECT_EQ(std::accumulate(predictions.confusion().begin(), predictions.confusion().end(), 0ULL),
            100U);
  EXPECT_THAT(predictions.given(), ElementsAre(34, 33, 33));
  std::uint64_t right = 0;
  for (int k = 0; k < 3; ++k) {
    right += predictions.confusion(4 * k);
    EXPECT_EQ(
        predictions.confusion(k) + predictions.confusion(3 + k) + predictions.confusion(6 + k),
        predictions.predicted(k));
  }
  EXPECT_EQ(predictions.accuracy(), static_cast<double>(right) / 100);
  EXPECT_NEAR(predictions.accuracy(), 0.9, 0.08);
  EXPECT_NEAR(predictions.mean_confidence(), 0.75, 0.05);
  ASSERT_EQ(predictions.confidence_counts_size(), 20);
  for (int cell = 0; cell < 10; ++cell) EXPECT_EQ(predictions.confidence_counts(cell), 0U);
}

TEST_F(ReferenceProfileTest, ACertainAnswerIsInTheLastCell) {
  auto source = Source(1, 1, 10);
  source.held_out[0].probabilities = {1, 0, 0};
  EXPECT_GE(MakeReferenceProfile(source).value().predictions().confidence_counts(19), 1U);
}

TEST_F(ReferenceProfileTest, EmbeddingDistancesAreWhatAReaderWorksOut) {
  const auto profile = MakeReferenceProfile(Source(600, 400, 500)).value();
  const auto& embedding = profile.embedding();
  EXPECT_EQ(embedding.numbers(), 4U);
  EXPECT_EQ(embedding.projection_seed(), 99U);
  ASSERT_EQ(embedding.distance_quantiles_size(), 101);
  EXPECT_TRUE(
      std::is_sorted(embedding.distance_quantiles().begin(), embedding.distance_quantiles().end()));
  const std::vector<double> mean(embedding.mean().begin(), embedding.mean().end());
  const std::vector<double> covariance(embedding.covariance().begin(),
                                       embedding.covariance().end());
  const auto distance = stats::MahalanobisDistance::Create(mean, covariance).value();
  int above = 0;
  for (int row = 0; row < 1'000; ++row) {
    const auto& own = profile.rows(row).embedding();
    const std::vector<float> numbers(own.begin(), own.end());
    if (distance.Squared(std::span(numbers)) > embedding.distance_quantiles(95)) ++above;
  }
  EXPECT_NEAR(above, 50, 2);
  // Chi-square of 4 degrees: its median is 3.36.
  EXPECT_NEAR(embedding.distance_quantiles(50), 3.36, 0.4);
}

TEST_F(ReferenceProfileTest, HeldOutRowsComeFirstAndAreAtMostTwoThousandInAll) {
  const auto few = MakeReferenceProfile(Source(60, 40, 500)).value();
  ASSERT_EQ(few.rows_size(), 600);
  EXPECT_EQ(few.rows(0).split(), "validation");
  EXPECT_EQ(few.rows(60).split(), "test");
  EXPECT_EQ(few.rows(100).split(), "training");
  EXPECT_EQ(few.rows(7).features(0), Rows("validation", 60, 2).features[14]);
  EXPECT_EQ(few.rows(7).embedding_size(), 4);

  const auto some = MakeReferenceProfile(Source(600, 400, 5'000)).value();
  ASSERT_EQ(some.rows_size(), 2'000);
  EXPECT_EQ(some.rows(999).split(), "test");
  EXPECT_EQ(some.rows(1'000).split(), "training");

  const auto many = MakeReferenceProfile(Source(3'000, 1'000, 500)).value();
  ASSERT_EQ(many.rows_size(), 2'000);
  const auto tests = std::count_if(many.rows().begin(), many.rows().end(),
                                   [](const auto& row) { return row.split() == "test"; });
  EXPECT_NEAR(static_cast<double>(tests), 500, 80);
}

TEST_F(ReferenceProfileTest, TheSameSourceGivesTheSameBytes) {
  const auto bytes = PrintProfile(MakeReferenceProfile(Source(60, 40, 5'000)).value());
  EXPECT_EQ(PrintProfile(MakeReferenceProfile(Source(60, 40, 5'000)).value()), bytes);
  auto other = Source(60, 40, 5'000);
  other.seed = 6;
  EXPECT_NE(PrintProfile(MakeReferenceProfile(other).value()), bytes);
}

TEST_F(ReferenceProfileTest, WithoutAnEmbeddingThereIsNone) {
  auto source = Source(20, 10, 50);
  source.embedding_numbers = 0;
  for (auto& split : source.held_out) split.embedding.clear();
  source.training_sample.embedding.clear();
  const auto profile = MakeReferenceProfile(source);
  ASSERT_TRUE(profile.ok()) << profile.error().message;
  EXPECT_FALSE(profile->has_embedding());
}

TEST_F(ReferenceProfileTest, WhatDoesNotFitIsRefused) {
  auto source = Source(20, 10, 50);
  source.held_out[1].probabilities.pop_back();
  EXPECT_THAT(MakeReferenceProfile(source).error().message, HasSubstr("test rows"));
  source = Source(20, 10, 50);
  source.held_out[0].given[3] = 3;
  EXPECT_THAT(MakeReferenceProfile(source).error().message, HasSubstr("label 3"));
  source = Source(20, 10, 50);
  std::vector<double> nothing(100, kMissing);
  source.training_features = nothing;
  EXPECT_THAT(MakeReferenceProfile(source).error().message, HasSubstr("luminance"));
}

TEST(SampleTrainingRowsTest, EachRowOnceAndAllEquallyOften) {
  std::vector<int> drawn(100);
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const auto rows = SampleTrainingRows(100, kMostProfileRows - 25, seed);
    ASSERT_EQ(rows.size(), 25U);
    EXPECT_EQ(std::set<std::uint32_t>(rows.begin(), rows.end()).size(), 25U);
    for (const std::uint32_t row : rows) ++drawn[row];
  }
  for (const int count : drawn) EXPECT_NEAR(count, 100, 45);
  EXPECT_TRUE(SampleTrainingRows(100, 5'000, 1).empty());
  EXPECT_EQ(SampleTrainingRows(10, 0, 1).size(), 10U);
}

}  // namespace
}  // namespace tidewheel::training
