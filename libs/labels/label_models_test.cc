#include "tidewheel/labels/label_models.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/labels/dawid_skene.h"

namespace tidewheel::labels {
namespace {

struct Task {
  std::vector<std::int32_t> votes = {};
  std::vector<std::int32_t> gold = {};
  std::size_t functions = 0;
  std::size_t classes = 0;

  FunctionVotes View() const { return {{votes, gold.size(), functions}, classes}; }
};

/// P(outcome | class) of each function, [class][outcome], outcome 0 an abstention.
using Tables = std::vector<std::vector<std::vector<double>>>;

Task Drawn(Random& random, const Tables& tables, const std::vector<double>& prior,
           std::size_t rows) {
  Task task{.functions = tables.size(), .classes = prior.size()};
  const auto draw = [&](const std::vector<double>& shares) {
    double left = random.Uniform();
    std::size_t k = 0;
    while (k + 1 < shares.size() && left >= shares[k]) left -= shares[k++];
    return static_cast<std::int32_t>(k);
  };
  for (std::size_t row = 0; row < rows; ++row) {
    const std::int32_t truth = draw(prior);
    task.gold.push_back(truth);
    for (const auto& table : tables) {
      task.votes.push_back(draw(table[static_cast<std::size_t>(truth)]) - 1);
    }
  }
  return task;
}

/// Every combination of outcomes as often as its probability says: `parts` divides every share.
Task Exact(const Tables& tables, std::size_t classes, int parts) {
  Task task{.functions = tables.size(), .classes = classes};
  std::vector<std::int32_t> row(tables.size());
  const auto fill = [&](auto&& self, std::size_t f, std::int32_t truth, double copies) -> void {
    if (f == tables.size()) {
      for (long i = 0; i < std::lround(copies); ++i) {
        task.votes.insert(task.votes.end(), row.begin(), row.end());
        task.gold.push_back(truth);
      }
      return;
    }
    const auto& shares = tables[f][static_cast<std::size_t>(truth)];
    for (std::size_t o = 0; o < shares.size(); ++o) {
      row[f] = static_cast<std::int32_t>(o) - 1;
      if (shares[o] > 0) self(self, f + 1, truth, copies * shares[o] * parts);
    }
  };
  for (std::size_t k = 0; k < classes; ++k) fill(fill, 0, static_cast<std::int32_t>(k), 1);
  return task;
}

double Entry(const LabelModel& model, std::size_t f, std::size_t outcome, std::size_t k) {
  return model.table[(f * (model.classes + 1) + outcome) * model.classes + k];
}

/// Functions that abstain at random, of various accuracies, and one that is no better than chance.
Tables Mixed(std::size_t classes) {
  Tables tables;
  for (const auto& [votes, right] :
       {std::pair{0.9, 0.8}, {0.6, 0.7}, {0.5, 0.9}, {0.7, 0.6}, {0.8, 0.5}}) {
    std::vector<std::vector<double>> table(classes, std::vector<double>(classes + 1));
    for (std::size_t k = 0; k < classes; ++k) {
      table[k][0] = 1 - votes;
      for (std::size_t l = 0; l < classes; ++l) {
        table[k][l + 1] = votes * (l == k ? right : (1 - right) / static_cast<double>(classes - 1));
      }
    }
    tables.push_back(table);
  }
  return tables;
}

enum class Method { kDawidSkene, kMissing, kMoments };

Result<FittedLabelModel> Fit(Method method, const FunctionVotes& votes,
                             const std::vector<double>& prior = {}) {
  switch (method) {
    case Method::kDawidSkene:
      return FitDawidSkene(votes, {.prior = prior});
    case Method::kMissing:
      return FitDawidSkene(votes, {.abstention = Abstention::kMissing, .prior = prior});
    case Method::kMoments:
      break;
  }
  return FitMoments(votes, {.prior = prior});
}

class LabelModelTest : public testing::TestWithParam<Method> {};

TEST_P(LabelModelTest, DoesNotDependOnTheOrderOfTheRows) {
  Random random(1);
  for (const std::size_t classes : {2U, 3U}) {
    const Task task = Drawn(random, Mixed(classes), std::vector<double>(classes, 1.0 / 3), 400);
    std::vector<std::size_t> order(task.gold.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), random);
    Task shuffled{.functions = task.functions, .classes = classes};
    for (const std::size_t row : order) {
      const auto line = task.View().votes.Row(row);
      shuffled.votes.insert(shuffled.votes.end(), line.begin(), line.end());
      shuffled.gold.push_back(task.gold[row]);
    }

    const auto fitted = Fit(GetParam(), task.View());
    const auto again = Fit(GetParam(), shuffled.View());

    ASSERT_TRUE(fitted.ok() && again.ok());
    EXPECT_EQ(fitted->model.table, again->model.table);
    const auto labels = *ApplyLabelModel(fitted->model, task.View());
    const auto moved = *ApplyLabelModel(again->model, shuffled.View());
    for (std::size_t i = 0; i < order.size(); ++i) {
      EXPECT_EQ(moved.label[i], labels.label[order[i]]);
      EXPECT_EQ(moved.posterior[i * classes], labels.posterior[order[i] * classes]);
    }
  }
}

TEST_P(LabelModelTest, DoesNotDependOnTheOrderOfTheFunctions) {
  Random random(2);
  for (const std::size_t classes : {2U, 4U}) {
    const Task task = Drawn(random, Mixed(classes), std::vector<double>(classes, 0.25), 500);
    const std::vector<std::size_t> order = {3, 0, 4, 2, 1};
    Task turned = task;
    for (std::size_t row = 0; row < task.gold.size(); ++row) {
      for (std::size_t f = 0; f < order.size(); ++f) {
        turned.votes[row * 5 + f] = task.votes[row * 5 + order[f]];
      }
    }

    const auto fitted = Fit(GetParam(), task.View());
    const auto again = Fit(GetParam(), turned.View());

    ASSERT_TRUE(fitted.ok() && again.ok());
    const auto labels = *ApplyLabelModel(fitted->model, task.View());
    const auto moved = *ApplyLabelModel(again->model, turned.View());
    for (std::size_t i = 0; i < labels.posterior.size(); ++i) {
      ASSERT_NEAR(labels.posterior[i], moved.posterior[i], 1e-9);
    }
    for (std::size_t f = 0; f < order.size(); ++f) {
      EXPECT_NEAR(again->model.accuracy[f], fitted->model.accuracy[order[f]], 1e-9);
    }
  }
}

TEST_P(LabelModelTest, RenamedClassesAreRenamedInTheAnswer) {
  Random random(3);
  for (const std::size_t classes : {2U, 3U, 5U}) {
    const Task task = Drawn(random, Mixed(classes), std::vector<double>(classes, 0.2), 600);
    const auto renamed = [&](std::int32_t k) {
      return k == kAbstain ? k : static_cast<std::int32_t>((k + 1) % static_cast<int>(classes));
    };
    Task other = task;
    for (auto& vote : other.votes) vote = renamed(vote);

    const auto fitted = Fit(GetParam(), task.View());
    const auto again = Fit(GetParam(), other.View());

    ASSERT_TRUE(fitted.ok() && again.ok());
    const auto labels = *ApplyLabelModel(fitted->model, task.View());
    const auto moved = *ApplyLabelModel(again->model, other.View());
    for (std::size_t row = 0; row < task.gold.size(); ++row) {
      for (std::size_t k = 0; k < classes; ++k) {
        const auto to = static_cast<std::size_t>(renamed(static_cast<std::int32_t>(k)));
        ASSERT_NEAR(labels.posterior[row * classes + k], moved.posterior[row * classes + to], 1e-9);
      }
    }
  }
}

TEST_P(LabelModelTest, PosteriorsAndTablesAreDistributions) {
  Random random(4);
  for (int round = 0; round < 20; ++round) {
    const std::size_t classes = 2 + random.Below(4);
    const Task task = Drawn(random, Mixed(classes),
                            std::vector<double>(classes, 1 / static_cast<double>(classes)),
                            30 + random.Below(300));
    const auto fitted = Fit(GetParam(), task.View());
    if (!fitted) {  // So few rows that no three functions move together.
      EXPECT_EQ(fitted.error().code, ErrorCode::kFailedPrecondition);
      EXPECT_EQ(GetParam(), Method::kMoments);
      continue;
    }
    const auto labels = *ApplyLabelModel(fitted->model, task.View());
    for (std::size_t row = 0; row < task.gold.size(); ++row) {
      double sum = 0;
      for (std::size_t k = 0; k < classes; ++k) {
        const double share = labels.posterior[row * classes + k];
        EXPECT_GE(share, 0);
        sum += share;
      }
      EXPECT_NEAR(sum, 1, 1e-12);
    }
    for (std::size_t f = 0; f < task.functions; ++f) {
      EXPECT_GE(fitted->model.accuracy[f], 0);
      EXPECT_LE(fitted->model.accuracy[f], 1);
      for (std::size_t k = 0; k < classes; ++k) {
        double sum = 0;
        for (std::size_t o = 0; o <= classes; ++o) sum += Entry(fitted->model, f, o, k);
        EXPECT_NEAR(sum, 1, 1e-12);
      }
    }
  }
}

TEST_P(LabelModelTest, LearnsWhomToTrust) {
  Random random(5);
  for (const std::size_t classes : {2U, 3U}) {
    const Task task = Drawn(random, Mixed(classes),
                            std::vector<double>(classes, 1 / static_cast<double>(classes)), 20'000);

    const auto fitted = Fit(GetParam(), task.View());

    ASSERT_TRUE(fitted.ok());
    const std::vector<double> truth = {0.8, 0.7, 0.9, 0.6, 0.5};
    for (std::size_t f = 0; f < truth.size(); ++f) {
      EXPECT_NEAR(fitted->model.accuracy[f], truth[f], 0.03) << classes << " " << f;
    }
    const auto comparison =
        *CompareWithMajority(task.View(), *ApplyLabelModel(fitted->model, task.View()), task.gold);
    EXPECT_EQ(comparison.verdict, AgainstMajority::kBetter);
    EXPECT_GT(comparison.difference, 0.01);
    EXPECT_LT(comparison.mcnemar.p_value, 1e-3);
  }
}

TEST_P(LabelModelTest, AppliesToRowsItHasNotSeen) {
  Random random(6);
  const Tables tables = Mixed(2);
  const Task seen = Drawn(random, tables, {0.5, 0.5}, 3'000);
  const Task fresh = Drawn(random, tables, {0.5, 0.5}, 3'000);

  const auto fitted = Fit(GetParam(), seen.View());

  ASSERT_TRUE(fitted.ok());
  const double before =
      *AccuracyWithTiesShared(*ApplyLabelModel(fitted->model, seen.View()), seen.gold);
  const double after =
      *AccuracyWithTiesShared(*ApplyLabelModel(fitted->model, fresh.View()), fresh.gold);
  EXPECT_NEAR(before, after, 0.03);
}

INSTANTIATE_TEST_SUITE_P(All, LabelModelTest,
                         testing::Values(Method::kDawidSkene, Method::kMissing, Method::kMoments),
                         [](const auto& method) -> std::string {
                           if (method.param == Method::kMoments) return "moments";
                           return method.param == Method::kMissing ? "dawid_skene_missing"
                                                                   : "dawid_skene";
                         });

TEST(MajorityLabelsTest, SharesTiesAndRowsWithoutVotes) {
  const Task task{.votes = {0, 0, 1, /**/ 0, 1, -1, /**/ -1, -1, -1, /**/ -1, 1, -1},
                  .gold = {0, 1, 1, 1},
                  .functions = 3,
                  .classes = 2};

  const auto labels = MajorityLabels(task.View());

  ASSERT_TRUE(labels.ok());
  EXPECT_NEAR(labels->posterior[0], 2.0 / 3, 1e-15);
  EXPECT_EQ(labels->posterior[2], 0.5);
  EXPECT_EQ(labels->posterior[4], 0.5);
  EXPECT_EQ(labels->tied, (std::vector<std::uint8_t>{0, 1, 1, 0}));
  EXPECT_EQ(labels->covered, (std::vector<std::uint8_t>{1, 1, 0, 1}));
  EXPECT_EQ(labels->ties, 2U);
  EXPECT_EQ(labels->uncovered, 1U);
  // The prior of the three rows with votes is (2/3 + 1/2)/3 and more for class 1.
  EXPECT_NEAR(labels->prior[0], (2.0 / 3 + 0.5) / 3, 1e-15);
  EXPECT_EQ(labels->label, (std::vector<std::int32_t>{0, 1, 1, 1}));
  EXPECT_NEAR(*AccuracyWithTiesShared(*labels, task.gold), (1 + 0.5 + 0.5 + 1) / 4, 1e-15);
}

TEST(FitDawidSkeneTest, WithMissingAbstentionsIsThatOfVotes) {
  Random random(7);
  for (const std::size_t classes : {2U, 3U}) {
    const Task task = Drawn(random, Mixed(classes),
                            std::vector<double>(classes, 1 / static_cast<double>(classes)), 300);
    std::vector<std::int32_t> item, worker, label;
    for (std::size_t i = 0; i < task.votes.size(); ++i) {
      item.push_back(static_cast<std::int32_t>(i / 5));
      worker.push_back(static_cast<std::int32_t>(i % 5));
      label.push_back(task.votes[i]);
    }
    // To the end, as the two do not count rounds alike.
    DawidSkeneOptions options;
    options.rounds = 5'000;
    options.tolerance = 0;
    const auto of_votes = DawidSkene({item, worker, label, task.gold.size(), 5, classes}, options);
    const auto fitted = FitDawidSkene(
        task.View(), {.abstention = Abstention::kMissing, .rounds = 5'000, .tolerance = 0});

    ASSERT_TRUE(of_votes.ok() && fitted.ok());
    const auto labels = *ApplyLabelModel(fitted->model, task.View());
    for (std::size_t i = 0; i < labels.posterior.size(); ++i) {
      EXPECT_NEAR(labels.posterior[i], of_votes->posterior[i], 1e-6);
    }
  }
}

TEST(FitDawidSkeneTest, NeedsAbstentionsToSaySomethingOfFunctionsForOneClass) {
  Random random(8);
  // Each votes for one class only, and rather where it is the class.
  Tables tables;
  for (const double right : {0.6, 0.5, 0.7}) {
    tables.push_back({{1 - right, right, 0}, {0.95, 0.05, 0}});
    tables.push_back({{0.95, 0, 0.05}, {1 - right, 0, right}});
  }
  const Task task = Drawn(random, tables, {0.5, 0.5}, 4'000);
  const auto accuracy = [&](Method method) {
    const auto fitted = Fit(method, task.View());
    return *AccuracyWithTiesShared(*ApplyLabelModel(fitted->model, task.View()), task.gold);
  };

  EXPECT_GT(accuracy(Method::kDawidSkene), 0.9);
  EXPECT_GT(accuracy(Method::kMoments), 0.9);
  EXPECT_NEAR(accuracy(Method::kMissing), 0.5, 0.03);
}

TEST(FitDawidSkeneTest, ClimbsTheLikelihoodAndTellsWhetherItArrived) {
  Random random(9);
  const Task task = Drawn(random, Mixed(2), {0.6, 0.4}, 500);
  double last = -1e300;
  for (const std::uint32_t rounds : {1U, 2U, 4U, 8U, 16U, 1'000U}) {
    const auto fitted = *FitDawidSkene(task.View(), {.smoothing = 1e-9, .rounds = rounds});
    EXPECT_GE(fitted.log_likelihood, last - 1e-9);
    last = fitted.log_likelihood;
    EXPECT_EQ(fitted.converged, rounds == 1'000);
  }
}

TEST(FitMomentsTest, RecoversAModelFromItsExactMoments) {
  // Two classes, symmetric, no abstentions.
  const Tables symmetric = {
      {{0, .8, .2}, {0, .2, .8}}, {{0, .7, .3}, {0, .3, .7}}, {{0, .9, .1}, {0, .1, .9}}};
  // Functions for one class only, and one for both, with abstentions that depend on the class.
  const Tables lopsided = {{{.6, .4, 0}, {.9, .1, 0}},
                           {{.8, 0, .2}, {.4, 0, .6}},
                           {{.5, .5, 0}, {.8, .2, 0}},
                           {{.5, .4, .1}, {.3, .2, .5}}};
  // Three classes, errors spread over the other two.
  const Tables three = {{{0, .6, .2, .2}, {0, .2, .6, .2}, {0, .2, .2, .6}},
                        {{0, .8, .1, .1}, {0, .1, .8, .1}, {0, .1, .1, .8}},
                        {{.2, .4, .2, .2}, {.2, .2, .4, .2}, {.2, .2, .2, .4}}};
  for (const auto& [tables, classes] : {std::pair{symmetric, 2}, {lopsided, 2}, {three, 3}}) {
    const Task task = Exact(tables, static_cast<std::size_t>(classes), 10);

    const auto fitted = FitMoments(task.View(), {.floor = 1e-12});

    ASSERT_TRUE(fitted.ok()) << fitted.error().message;
    for (std::size_t f = 0; f < tables.size(); ++f) {
      for (std::size_t k = 0; k < task.classes; ++k) {
        for (std::size_t o = 0; o <= task.classes; ++o) {
          EXPECT_NEAR(Entry(fitted->model, f, o, k), tables[f][k][o], 1e-9)
              << f << " " << o << " " << k;
        }
      }
    }
    EXPECT_TRUE(fitted->silent.empty());
  }
}

TEST(FitMomentsTest, TurnsAFunctionThatIsWorseThanChanceWhereThatMayBe) {
  const Tables tables = {{{0, .8, .2}, {0, .2, .8}},
                         {{0, .7, .3}, {0, .3, .7}},
                         {{0, .9, .1}, {0, .1, .9}},
                         {{0, .2, .8}, {0, .8, .2}}};
  const Task task = Exact(tables, 2, 10);

  const auto turned = FitMoments(task.View(), {.better_than_chance = false});
  const auto left_out = FitMoments(task.View());

  ASSERT_TRUE(turned.ok() && left_out.ok());
  EXPECT_NEAR(turned->model.accuracy[3], 0.2, 1e-9);
  EXPECT_NEAR(turned->model.accuracy[0], 0.8, 1e-9);
  EXPECT_TRUE(turned->silent.empty());
  EXPECT_NEAR(left_out->model.accuracy[3], 0.5, 1e-9);
  EXPECT_NEAR(left_out->model.accuracy[0], 0.8, 1e-9);
  EXPECT_EQ(left_out->contrary, std::vector<std::int32_t>{3});
  EXPECT_EQ(left_out->silent, std::vector<std::int32_t>{3});
}

TEST(FitMomentsTest, NamesFunctionsThatSayNothing) {
  Tables tables = {{{0, .8, .2}, {0, .2, .8}},
                   {{0, .7, .3}, {0, .3, .7}},
                   {{0, .9, .1}, {0, .1, .9}},
                   {{1, 0, 0}, {1, 0, 0}},   // Never votes.
                   {{0, 1, 0}, {0, 1, 0}}};  // Always the same.
  const Task task = Exact(tables, 2, 10);

  const auto fitted = FitMoments(task.View());

  ASSERT_TRUE(fitted.ok());
  EXPECT_EQ(fitted->silent, (std::vector<std::int32_t>{3, 4}));
  EXPECT_NEAR(fitted->model.accuracy[4], 0.5, 0.01);
}

TEST(FitMomentsTest, CountsTheSharesItHadToRaise) {
  // The first two copy each other, so that they look far better than the others allow.
  Random random(10);
  Task task = Drawn(random, Mixed(2), {0.5, 0.5}, 2'000);
  for (std::size_t row = 0; row < task.gold.size(); ++row) {
    task.votes[row * 5 + 1] = task.votes[row * 5];
  }

  const auto fitted = FitMoments(task.View());

  ASSERT_TRUE(fitted.ok());
  EXPECT_GT(fitted->clamped, 0U);
  EXPECT_EQ(FitMoments(Exact({{{0, .8, .2}, {0, .2, .8}},
                              {{0, .7, .3}, {0, .3, .7}},
                              {{0, .9, .1}, {0, .1, .9}}},
                             2, 10)
                           .View())
                ->clamped,
            0U);
}

TEST(FitMomentsTest, SaysWhatItCannotTell) {
  const Task two{.votes = {0, 1, 1, 0, 1, 1}, .gold = {0, 0, 0}, .functions = 2, .classes = 2};
  const auto few = FitMoments(two.View());
  ASSERT_FALSE(few.ok());
  EXPECT_EQ(few.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(few.error().message.find("at least three functions"), std::string::npos);

  // All combinations equally often: nothing moves together.
  Task chance{.functions = 3, .classes = 2};
  for (int row = 0; row < 8; ++row) {
    for (int f = 0; f < 3; ++f) chance.votes.push_back(row >> f & 1);
    chance.gold.push_back(0);
  }
  const auto none = FitMoments(chance.View());
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(none.error().message.find("move together on class 0"), std::string::npos);

  std::vector<std::int32_t> wide(5'000, 1);
  EXPECT_NE(FitMoments({{wide, 1, 5'000}, 2}).error().message.find("4096"), std::string::npos);
}

TEST(LabelModelOptionsTest, RefusesWhatIsOutsideTheirRange) {
  Random random(11);
  const Task task = Drawn(random, Mixed(2), {0.5, 0.5}, 50);
  const FunctionVotes votes = task.View();
  EXPECT_TRUE(FitDawidSkene(votes, {.prior = {0.3, 0.7}}).ok());
  EXPECT_FALSE(FitDawidSkene(votes, {.prior = {0.3, 0.6}}).ok());
  EXPECT_FALSE(FitDawidSkene(votes, {.prior = {1}}).ok());
  EXPECT_FALSE(FitDawidSkene(votes, {.prior = {1, 0}}).ok());
  EXPECT_FALSE(FitDawidSkene(votes, {.prior = {-0.5, 1.5}}).ok());
  EXPECT_FALSE(FitDawidSkene(votes, {.smoothing = 0}).ok());
  EXPECT_FALSE(FitDawidSkene(votes, {.smoothing = std::nan("")}).ok());
  EXPECT_FALSE(FitDawidSkene(votes, {.rounds = 0}).ok());
  EXPECT_FALSE(FitDawidSkene(votes, {.tolerance = -1}).ok());
  EXPECT_FALSE(FitMoments(votes, {.prior = {0.5, std::nan("")}}).ok());
  EXPECT_FALSE(FitMoments(votes, {.floor = 0.2}).ok());
  EXPECT_FALSE(FitMoments({}).ok());
  EXPECT_FALSE(MajorityLabels({}).ok());

  const std::vector<std::int32_t> alone = {0, -1, -1, 1};
  const auto single = FitDawidSkene({{alone, 2, 2}, 2});
  ASSERT_FALSE(single.ok());
  EXPECT_EQ(single.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(single.error().message.find("no row has votes of two"), std::string::npos);

  const auto fitted = *FitDawidSkene(votes);
  const auto other = ApplyLabelModel(fitted.model, {{alone, 2, 2}, 2});
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, ErrorCode::kInvalidArgument);
}

TEST(CompareWithMajorityTest, SaysWorseWhereItIs) {
  Random random(12);
  const Task task = Drawn(random, Mixed(2), {0.5, 0.5}, 500);
  const auto majority = *MajorityLabels(task.View());
  auto mirrored = majority;
  for (std::size_t row = 0; row < task.gold.size(); ++row) {
    std::swap(mirrored.posterior[2 * row], mirrored.posterior[2 * row + 1]);
    mirrored.label[row] = 1 - mirrored.label[row];
  }

  const auto worse = *CompareWithMajority(task.View(), mirrored, task.gold);
  const auto same = *CompareWithMajority(task.View(), majority, task.gold);

  EXPECT_EQ(worse.verdict, AgainstMajority::kWorse);
  EXPECT_LT(worse.difference_interval.high, 0);
  EXPECT_NEAR(worse.model_accuracy, 1 - worse.majority_accuracy, 1e-12);
  EXPECT_LT(worse.mcnemar.p_value, 1e-6);
  EXPECT_EQ(same.verdict, AgainstMajority::kUndecided);
  EXPECT_EQ(same.difference, 0);
  EXPECT_LT(same.difference_interval.low, 0);
  EXPECT_GT(same.difference_interval.high, 0);
  EXPECT_EQ(same.mcnemar.p_value, 1);
}

TEST(CompareWithMajorityTest, LooksOnlyAtRowsWithGold) {
  const Task task{
      .votes = {0, 0, 1, 1, 0, 1}, .gold = {0, kAbstain, 1}, .functions = 2, .classes = 2};
  const auto labels = *MajorityLabels(task.View());

  const auto comparison = *CompareWithMajority(task.View(), labels, task.gold);

  EXPECT_EQ(comparison.rows, 2U);
  EXPECT_EQ(comparison.majority_accuracy, 0.75);
  const std::vector<std::int32_t> unknown(3, kAbstain);
  EXPECT_EQ(CompareWithMajority(task.View(), labels, unknown).error().code,
            ErrorCode::kFailedPrecondition);
  EXPECT_EQ(AccuracyWithTiesShared(labels, unknown).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_FALSE(CompareWithMajority(task.View(), labels, task.gold, 0).ok());
  EXPECT_FALSE(AccuracyWithTiesShared(labels, std::vector<std::int32_t>{0, 0, 2}).ok());
}

}  // namespace
}  // namespace tidewheel::labels
