#include "tidewheel/labels/agreement.h"
#include "tidewheel/labels/dawid_skene.h"
#include "tidewheel/labels/majority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tidewheel/base/random.h"

namespace tidewheel::labels {
namespace {

using testing::HasSubstr;

struct Table {
  std::vector<std::int32_t> item, worker, label, truth;
  std::size_t items = 0, workers = 0, classes = 0;

  void Add(std::int32_t i, std::int32_t w, std::int32_t l) {
    item.push_back(i);
    worker.push_back(w);
    label.push_back(l);
    items = std::max(items, static_cast<std::size_t>(i) + 1);
    workers = std::max(workers, static_cast<std::size_t>(w) + 1);
    classes = std::max(classes, static_cast<std::size_t>(l) + 1);
  }
  Votes view() const { return {item, worker, label, items, workers, classes}; }
};

/// Workers of different quality on items of known class.
Table Simulated(std::size_t items, std::size_t workers, std::size_t classes, std::uint64_t seed) {
  Random random(seed);
  Table table;
  table.classes = classes;
  for (std::size_t i = 0; i < items; ++i) {
    table.truth.push_back(static_cast<std::int32_t>(random.Below(classes)));
    for (std::size_t w = 0; w < workers; ++w) {
      if (random.Uniform() < 0.3) continue;
      const double quality = 0.5 + 0.45 * static_cast<double>(w) / static_cast<double>(workers);
      const auto label = random.Uniform() < quality
                             ? table.truth.back()
                             : static_cast<std::int32_t>(random.Below(classes));
      table.Add(static_cast<std::int32_t>(i), static_cast<std::int32_t>(w), label);
    }
  }
  table.items = items;
  table.workers = workers;
  return table;
}

double Accuracy(const Consensus& consensus, const Table& table) {
  double right = 0;
  for (std::size_t i = 0; i < table.items; ++i)
    right += consensus.label[i] == table.truth[i] ? 1 : 0;
  return right / static_cast<double>(table.items);
}

TEST(MajorityTest, SharesAreThePosterior) {
  Table table;
  for (const auto& [w, l] : {std::pair{0, 1}, std::pair{1, 1}, std::pair{2, 0}}) table.Add(0, w, l);
  table.Add(1, 0, 0);
  const auto consensus = Majority(table.view());

  ASSERT_TRUE(consensus.ok());
  EXPECT_DOUBLE_EQ(consensus->posterior[1], 2.0 / 3);
  EXPECT_EQ(consensus->label[0], 1);
  EXPECT_EQ(consensus->label[1], 0);
  EXPECT_EQ(consensus->ties, 0U);
}

TEST(MajorityTest, TiesGoToTheLargerPriorThenTheSmallerIndex) {
  Table table;
  table.Add(0, 0, 1);
  table.Add(1, 0, 0);
  table.Add(1, 1, 1);
  const auto larger_prior = Majority(table.view());
  EXPECT_EQ(larger_prior->label[1], 1);
  EXPECT_EQ(larger_prior->tied[1], 1);
  EXPECT_EQ(larger_prior->ties, 1U);

  Table even;
  even.Add(0, 0, 0);
  even.Add(0, 1, 1);
  EXPECT_EQ(Majority(even.view())->label[0], 0);
}

TEST(DawidSkeneTest, UnanimousVotesAreCertain) {
  Table table;
  for (std::int32_t i = 0; i < 30; ++i) {
    for (std::int32_t w = 0; w < 3; ++w) table.Add(i, w, i % 3);
  }
  const auto consensus = DawidSkene(table.view());
  ASSERT_TRUE(consensus.ok());
  for (std::int32_t i = 0; i < 30; ++i)
    EXPECT_EQ(consensus->label[static_cast<std::size_t>(i)], i % 3);
  for (const double quality : consensus->quality) EXPECT_GT(quality, 0.99);
}

TEST(DawidSkeneTest, KnowsGoodWorkersFromBadOnes) {
  const Table table = Simulated(1'500, 8, 3, 4);
  const auto consensus = DawidSkene(table.view());
  ASSERT_TRUE(consensus.ok());
  EXPECT_GT(Accuracy(*consensus, table), Accuracy(*Majority(table.view()), table));
  EXPECT_GT(consensus->quality.back(), consensus->quality.front() + 0.15);
}

TEST(DawidSkeneTest, RowsSumToOne) {
  const Table table = Simulated(200, 5, 4, 9);
  const auto consensus = DawidSkene(table.view());
  for (std::size_t i = 0; i < table.items; ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < 4; ++k) sum += consensus->posterior[i * 4 + k];
    EXPECT_NEAR(sum, 1, 1e-12);
  }
  for (std::size_t row = 0; row < table.workers * 4; ++row) {
    double sum = 0;
    for (std::size_t l = 0; l < 4; ++l) sum += consensus->confusion[row * 4 + l];
    EXPECT_NEAR(sum, 1, 1e-12);
  }
}

TEST(DawidSkeneTest, DoesNotDependOnTheOrderOfVotesOrTheNamesOfWorkers) {
  const Table table = Simulated(300, 6, 3, 2);
  Table shuffled;
  Random random(1);
  std::vector<std::size_t> order(table.item.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
  for (const std::size_t v : order)
    shuffled.Add(table.item[v], 5 - table.worker[v], table.label[v]);
  shuffled.items = table.items;
  const auto a = DawidSkene(table.view());
  const auto b = DawidSkene(shuffled.view());
  EXPECT_EQ(a->label, b->label);
  for (std::size_t w = 0; w < 6; ++w) EXPECT_NEAR(a->quality[w], b->quality[5 - w], 1e-9);
}

TEST(ConsensusTest, BadInputIsNamed) {
  Table table;
  table.Add(0, 0, 1);
  Votes votes = table.view();
  votes.classes = 1;
  EXPECT_THAT(Majority(votes).error().message, HasSubstr("at least 2 classes"));
  votes.classes = 2;
  votes.items = 0;
  EXPECT_THAT(DawidSkene(votes).error().message, HasSubstr("vote 0"));
  EXPECT_THAT(Majority(Votes{{}, {}, {}, 1, 1, 2}).error().message, HasSubstr("no votes"));
  const std::vector<std::int32_t> two = {0, 0};
  votes = table.view();
  votes.worker = two;
  EXPECT_FALSE(Majority(votes).ok());
}

TEST(KrippendorffTest, AgreesWithAHandCount) {
  // Two coders, ten units (Krippendorff 2011, "Computing Krippendorff's alpha-reliability", example
  // A): .095.
  Table table;
  const int first[] = {0, 1, 0, 0, 0, 0, 0, 0, 1, 0};
  const int second[] = {1, 1, 1, 0, 0, 1, 0, 0, 0, 0};
  for (int i = 0; i < 10; ++i) {
    table.Add(i, 0, first[i]);
    table.Add(i, 1, second[i]);
  }
  EXPECT_NEAR(*KrippendorffAlpha(table.view()), 0.095, 5e-4);
}

}  // namespace
}  // namespace tidewheel::labels
