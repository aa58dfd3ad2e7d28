#include "tidewheel/labels/acquisition_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::labels {
namespace {

using ::testing::HasSubstr;

/// Candidates with two opinions, some in clusters, in three slices.
struct Pool {
  std::vector<double> first, second;
  std::vector<std::int64_t> clusters;
  std::vector<std::int32_t> slices;
  std::vector<AcquisitionSource> sources;

  QueueRequest Request(std::size_t budget) const {
    QueueRequest request;
    request.candidates = first.size();
    request.budget = budget;
    request.sources = sources;
    request.clusters = clusters;
    request.slices = slices;
    return request;
  }
};

Pool MakePool(Random& random, std::size_t candidates) {
  Pool pool;
  for (std::size_t i = 0; i < candidates; ++i) {
    pool.first.push_back(random.Uniform());
    pool.second.push_back(static_cast<double>(random.Below(5)));
    pool.clusters.push_back(
        random.Below(3) == 0 ? static_cast<std::int64_t>(random.Below(candidates / 10 + 1)) : -1);
    pool.slices.push_back(static_cast<std::int32_t>(random.Below(10) == 0 ? 2 : random.Below(2)));
  }
  pool.sources = {{"uncertain", pool.first, 3}, {"drifted", pool.second, 1}};
  return pool;
}

TEST(LabelingQueueTest, KeepsItsPromisesOnManyPools) {
  Random random(1);
  for (int round = 0; round < 100; ++round) {
    const Pool pool = MakePool(random, 10 + random.Below(400));
    QueueRequest request = pool.Request(1 + random.Below(120));
    request.seed = random.Next();
    request.control_share = round % 3 == 0 ? 1 : 0.02 + 0.4 * random.Uniform();
    const std::vector<std::int64_t> closed = {0, 3, 5};
    if (round % 2 == 0) request.closed_clusters = closed;

    const auto queue = BuildLabelingQueue(request);

    ASSERT_TRUE(queue.ok()) << queue.error().message;
    std::set<std::uint32_t> candidates;
    std::set<std::int64_t> clusters;
    std::map<std::int64_t, std::size_t> sizes;
    std::uint64_t open = 0;
    std::size_t alone = 0;
    for (std::size_t i = 0; i < request.candidates; ++i) {
      const auto cluster = pool.clusters[i];
      if (cluster >= 0 && round % 2 == 0 &&
          std::find(closed.begin(), closed.end(), cluster) != closed.end()) {
        continue;
      }
      ++open;
      alone += cluster < 0 ? 1 : 0;
      if (cluster >= 0) ++sizes[cluster];
    }
    EXPECT_EQ(queue->population, open);
    EXPECT_EQ(queue->population + queue->left_out, request.candidates);
    const std::size_t total = std::min(request.budget, alone + sizes.size());
    ASSERT_EQ(queue->items.size(), total);
    EXPECT_EQ(queue->control, static_cast<std::size_t>(std::ceil(
                                  request.control_share * static_cast<double>(total) - 1e-9)));
    std::size_t control = 0;
    std::map<std::int32_t, double> by_source;
    for (const QueuedItem& item : queue->items) {
      EXPECT_TRUE(candidates.insert(item.candidate).second);
      const auto cluster = pool.clusters[item.candidate];
      if (cluster >= 0) {
        EXPECT_TRUE(clusters.insert(cluster).second) << "two of a cluster";
        EXPECT_TRUE(round % 2 == 1 ||
                    std::find(closed.begin(), closed.end(), cluster) == closed.end());
      }
      if (item.reason == QueueReason::kControl) {
        ++control;
        const double members = cluster < 0 ? 1 : static_cast<double>(sizes[cluster]);
        EXPECT_DOUBLE_EQ(item.inclusion_probability, static_cast<double>(queue->control) /
                                                         static_cast<double>(alone + sizes.size()) /
                                                         members);
      } else {
        EXPECT_EQ(item.inclusion_probability, 0);
        by_source[item.source] += 1;
      }
    }
    EXPECT_EQ(control, queue->control);
    const double rest = static_cast<double>(total - control);
    EXPECT_NEAR(by_source[0], rest * 0.75, 1);
    EXPECT_NEAR(by_source[1], rest * 0.25, 1);
    const auto again = BuildLabelingQueue(request);
    ASSERT_TRUE(again.ok());
    for (std::size_t i = 0; i < total; ++i) {
      EXPECT_EQ(queue->items[i].candidate, again->items[i].candidate);
    }
  }
}

TEST(LabelingQueueTest, TakesTheBestOfASourceAndTheFirstOfEqualOnes) {
  const std::vector<double> scores = {0.1, 0.9, 0.5, 0.9, 0.7, 0.2};
  const std::vector<AcquisitionSource> sources = {{"only", scores, 1}};
  QueueRequest request;
  request.candidates = 6;
  request.budget = 5;
  request.control_share = 0.01;  // One item.
  request.sources = sources;

  const auto queue = BuildLabelingQueue(request);

  ASSERT_TRUE(queue.ok());
  std::vector<std::uint32_t> order;
  std::uint32_t control = 0;
  for (const QueuedItem& item : queue->items) {
    if (item.reason == QueueReason::kControl) {
      control = item.candidate;
    } else {
      order.push_back(item.candidate);
    }
  }
  std::vector<std::uint32_t> expected = {1, 3, 4, 2, 5, 0};
  expected.erase(std::find(expected.begin(), expected.end(), control));
  expected.resize(4);
  EXPECT_EQ(order, expected);
}

TEST(LabelingQueueTest, EveryStretchOfTheQueueHasItsPartOfTheControl) {
  Random random(2);
  const Pool pool = MakePool(random, 500);
  QueueRequest request = pool.Request(200);
  request.control_share = 0.15;

  const auto queue = BuildLabelingQueue(request);

  ASSERT_TRUE(queue.ok());
  std::size_t control = 0;
  for (std::size_t i = 0; i < queue->items.size(); ++i) {
    control += queue->items[i].reason == QueueReason::kControl ? 1 : 0;
    EXPECT_NEAR(static_cast<double>(control), 0.15 * static_cast<double>(i + 1), 1);
  }
}

TEST(LabelingQueueTest, EachCandidateIsInTheControlAsOftenAsItsProbabilitySays) {
  std::vector<double> scores;
  std::vector<std::int64_t> clusters;
  for (int i = 0; i < 20; ++i) {
    scores.push_back(i);
    clusters.push_back(i < 6 ? 1 : i < 8 ? 2 : -1);  // 6, 2 and 12 alone: 14 units.
  }
  const std::vector<AcquisitionSource> sources = {{"only", scores, 1}};
  QueueRequest request;
  request.candidates = 20;
  request.budget = 10;
  request.control_share = 0.4;
  request.sources = sources;
  request.clusters = clusters;
  std::vector<double> times(20, 0);
  std::vector<double> probability(20, 0);
  constexpr int kRounds = 20'000;
  for (int round = 0; round < kRounds; ++round) {
    request.seed = static_cast<std::uint64_t>(round);
    const auto queue = BuildLabelingQueue(request);
    ASSERT_TRUE(queue.ok());
    for (const QueuedItem& item : queue->items) {
      if (item.reason != QueueReason::kControl) continue;
      times[item.candidate] += 1;
      probability[item.candidate] = item.inclusion_probability;
    }
  }
  for (std::size_t i = 0; i < 20; ++i) {
    const double p = 4.0 / 14 / (i < 6 ? 6 : i < 8 ? 2 : 1);
    EXPECT_DOUBLE_EQ(probability[i], p);
    EXPECT_NEAR(times[i] / kRounds, p, 4.5 * std::sqrt(p * (1 - p) / kRounds));
  }
}

TEST(LabelingQueueTest, QuotasAreFilledFromTheirSlicesBest) {
  Random random(3);
  Pool pool = MakePool(random, 400);
  pool.sources = {{"uncertain", pool.first, 1}};
  QueueRequest request = pool.Request(60);
  const std::vector<SliceQuota> quotas = {{2, 20}, {7, 3}};
  request.quotas = quotas;

  const auto queue = BuildLabelingQueue(request);

  ASSERT_TRUE(queue.ok());
  EXPECT_EQ(queue->items.size(), 60U);
  std::size_t rare = 0;
  double worst = 2;
  std::set<std::uint32_t> taken;
  std::set<std::int64_t> clusters;
  for (const QueuedItem& item : queue->items) {
    taken.insert(item.candidate);
    clusters.insert(pool.clusters[item.candidate]);
    rare += pool.slices[item.candidate] == 2 ? 1 : 0;
    if (item.reason != QueueReason::kQuota) continue;
    EXPECT_EQ(pool.slices[item.candidate], 2);
    worst = std::min(worst, pool.first[item.candidate]);
  }
  EXPECT_GE(rare, 20U);
  ASSERT_LT(worst, 1);
  for (std::uint32_t i = 0; i < 400; ++i) {
    const bool free =
        pool.clusters[i] < 0 ? !taken.contains(i) : !clusters.contains(pool.clusters[i]);
    if (pool.slices[i] == 2 && free) {
      EXPECT_LE(pool.first[i], worst);
    }
  }
  ASSERT_EQ(queue->unmet.size(), 1U);  // There is no slice 7.
  EXPECT_EQ(queue->unmet[0].slice, 7);
  EXPECT_EQ(queue->unmet[0].missing, 3U);
}

TEST(LabelingQueueTest, WithoutSourcesEverythingIsControl) {
  QueueRequest request;
  request.candidates = 50;
  request.budget = 20;
  request.control_share = 1;

  const auto queue = BuildLabelingQueue(request);

  ASSERT_TRUE(queue.ok());
  EXPECT_EQ(queue->control, 20U);
  for (const QueuedItem& item : queue->items) {
    EXPECT_DOUBLE_EQ(item.inclusion_probability, 0.4);
  }
}

TEST(LabelingQueueTest, RefusesRequestsThatDoNotFit) {
  Random random(4);
  const Pool pool = MakePool(random, 30);
  const auto message = [](const QueueRequest& request) {
    const auto queue = BuildLabelingQueue(request);
    return queue.ok() ? std::string() : queue.error().message;
  };
  QueueRequest request = pool.Request(10);
  ASSERT_EQ(message(request), "");

  request.budget = 0;
  EXPECT_THAT(message(request), HasSubstr("budget"));
  request = pool.Request(10);
  request.candidates = 0;
  EXPECT_THAT(message(request), HasSubstr("no candidates"));
  for (const double share : {0.0, -0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    request = pool.Request(10);
    request.control_share = share;
    EXPECT_THAT(message(request), HasSubstr("control's share"));
  }
  request = pool.Request(10);
  request.sources = {};
  EXPECT_THAT(message(request), HasSubstr("without a source"));
  request = pool.Request(10);
  request.candidates = 29;
  EXPECT_THAT(message(request), HasSubstr("30 scores for 29 candidates"));
  auto scores = pool.first;
  scores[4] = std::numeric_limits<double>::infinity();
  const std::vector<AcquisitionSource> infinite = {{"bad", scores, 1}};
  const std::vector<AcquisitionSource> shareless = {{"bad", pool.first, 0}};
  request = pool.Request(10);
  request.sources = infinite;
  EXPECT_THAT(message(request), HasSubstr("source \"bad\", candidate 4"));
  request.sources = shareless;
  EXPECT_THAT(message(request), HasSubstr("share"));
  request = pool.Request(10);
  request.clusters = std::span(pool.clusters).first(3);
  EXPECT_THAT(message(request), HasSubstr("3 clusters for 30"));
  const std::vector<SliceQuota> twice = {{1, 2}, {1, 2}};
  const std::vector<SliceQuota> many = {{1, 6}, {2, 5}};
  request = pool.Request(10);
  request.quotas = twice;
  EXPECT_THAT(message(request), HasSubstr("slice 1 has two quotas"));
  request.quotas = many;
  EXPECT_THAT(message(request), HasSubstr("more than the budget of 10"));
  request.slices = {};
  EXPECT_THAT(message(request), HasSubstr("0 slices for 30"));
}

}  // namespace
}  // namespace tidewheel::labels
