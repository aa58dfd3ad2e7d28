#include "tidewheel/stats/paired_bootstrap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/auc_comparison.h"
#include "tidewheel/stats/ranking.h"

namespace tidewheel::stats {
namespace {

using testing::HasSubstr;

MetricOfSamples MeanOf(const std::vector<double>& values) {
  return [&values](std::span<const std::uint32_t> samples) {
    double sum = 0;
    for (const std::uint32_t sample : samples) sum += values[sample];
    return sum / static_cast<double>(samples.size());
  };
}

MetricOfSamples AreaOf(const std::vector<std::int32_t>& labels, const std::vector<double>& scores) {
  return [&labels, &scores](std::span<const std::uint32_t> samples) {
    std::vector<std::int32_t> drawn_labels;
    std::vector<double> drawn_scores;
    for (const std::uint32_t sample : samples) {
      drawn_labels.push_back(labels[sample]);
      drawn_scores.push_back(scores[sample]);
    }
    const auto area = RocAuc(drawn_labels, drawn_scores);
    return area ? *area : std::nan("");
  };
}

struct Rows {
  std::vector<std::int32_t> labels;
  std::vector<double> baseline, candidate;
};

Rows RandomRows(std::size_t n, std::uint64_t seed) {
  Random random(seed);
  Rows rows;
  for (std::size_t i = 0; i < n; ++i) {
    rows.labels.push_back(random.Uniform() < 0.4 ? 1 : 0);
    const double shared = random.Normal();
    rows.baseline.push_back(rows.labels.back() + shared + 0.4 * random.Normal());
    rows.candidate.push_back(1.3 * rows.labels.back() + shared + 0.4 * random.Normal());
  }
  return rows;
}

TEST(PairedBootstrapTest, AMeanHasTheNormalInterval) {
  Random random(1);
  std::vector<double> a, b;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < 1'000; ++i) {
    a.push_back(10 * random.Normal());
    b.push_back(a.back() + 0.1 + random.Normal());
    sum += b.back() - a.back();
    squares += (b.back() - a.back()) * (b.back() - a.back());
  }
  const double mean = sum / 1'000;
  const double half = 1.96 * std::sqrt((squares / 1'000 - mean * mean) / 1'000);
  const auto compared = PairedBootstrap(1'000, MeanOf(a), MeanOf(b));
  ASSERT_TRUE(compared.ok()) << compared.error().message;
  EXPECT_NEAR(compared->difference.value, mean, 1e-12);
  EXPECT_NEAR(compared->difference.interval.low, mean - half, 0.006);
  EXPECT_NEAR(compared->difference.interval.high, mean + half, 0.006);
}

TEST(PairedBootstrapTest, AgreesWithDeLongOnAreas) {
  const Rows rows = RandomRows(500, 3);
  const auto exact = CompareAuc(rows.labels, rows.baseline, rows.candidate);
  const auto compared = PairedBootstrap(500, AreaOf(rows.labels, rows.baseline),
                                        AreaOf(rows.labels, rows.candidate), {.resamples = 1'000});
  EXPECT_NEAR(compared->difference.value, exact->difference.value, 1e-12);
  EXPECT_NEAR(compared->difference.interval.low, exact->difference.interval.low, 0.006);
  EXPECT_NEAR(compared->difference.interval.high, exact->difference.interval.high, 0.006);
}

TEST(PairedBootstrapTest, RepeatsExactlyWhateverTheThreads) {
  const Rows rows = RandomRows(100, 4);
  const auto with = [&](int threads, std::uint64_t seed) {
    return *PairedBootstrap(100, AreaOf(rows.labels, rows.baseline),
                            AreaOf(rows.labels, rows.candidate),
                            {.resamples = 300, .seed = seed, .threads = threads});
  };
  const auto one = with(1, 7);
  const auto three = with(3, 7);
  EXPECT_EQ(one.difference.interval.low, three.difference.interval.low);
  EXPECT_EQ(one.difference.interval.high, three.difference.interval.high);
  EXPECT_EQ(one.p_value, three.p_value);
  EXPECT_NE(one.difference.interval.low, with(1, 8).difference.interval.low);
}

TEST(PairedBootstrapTest, SwappingTheModelsTurnsTheSign) {
  const Rows rows = RandomRows(80, 6);
  const auto first = MeanOf(rows.baseline);
  const auto second = MeanOf(rows.candidate);
  const auto a = PairedBootstrap(80, first, second, {.resamples = 501});
  const auto b = PairedBootstrap(80, second, first, {.resamples = 501});
  EXPECT_EQ(a->difference.value, -b->difference.value);
  EXPECT_EQ(a->p_value, b->p_value);
}

TEST(PairedBootstrapTest, AModelDoesNotDifferFromItself) {
  const Rows rows = RandomRows(50, 8);
  const auto same = PairedBootstrap(50, MeanOf(rows.baseline), MeanOf(rows.baseline));
  EXPECT_EQ(same->difference.interval.low, 0);
  EXPECT_EQ(same->difference.interval.high, 0);
  EXPECT_EQ(same->p_value, 1);
}

TEST(PairedBootstrapTest, ResamplesWithoutTheFigureAreLeftOutAndCounted) {
  Rows rows = RandomRows(60, 9);
  for (std::size_t i = 0; i < 60; ++i) rows.labels[i] = i < 3 ? 1 : 0;  // Often drawn without a 1.
  const auto areas = [&](int ones) {
    for (std::size_t i = 0; i < 60; ++i) rows.labels[i] = static_cast<int>(i) < ones ? 1 : 0;
    return PairedBootstrap(60, AreaOf(rows.labels, rows.baseline),
                           AreaOf(rows.labels, rows.candidate), {.resamples = 400});
  };
  const auto three = areas(3);
  ASSERT_TRUE(three.ok());
  EXPECT_GT(three->undefined, 0);
  EXPECT_THAT(areas(1).error().message, HasSubstr("of 400 resamples"));
  EXPECT_EQ(areas(0).error().code, ErrorCode::kFailedPrecondition);
}

TEST(PairedBootstrapTest, BadInputIsNamed) {
  const std::vector<double> values = {1, 2};
  const auto problem = [&](std::size_t samples, PairedBootstrapOptions options) {
    const auto compared = PairedBootstrap(samples, MeanOf(values), MeanOf(values), options);
    return compared.ok() ? std::string("taken") : compared.error().message;
  };
  EXPECT_THAT(problem(0, {}), HasSubstr("no samples"));
  EXPECT_THAT(problem(2, {.confidence = 1}), HasSubstr("confidence"));
  EXPECT_THAT(problem(2, {.resamples = 99}), HasSubstr("at least 100"));
  EXPECT_THAT(problem(2, {.threads = 0}), HasSubstr("threads"));
  EXPECT_THAT(problem(std::size_t{1} << 33, {}), HasSubstr("2^32"));
  EXPECT_FALSE(PairedBootstrap(2, nullptr, MeanOf(values)).ok());
}

}  // namespace
}  // namespace tidewheel::stats
