#include "tidewheel/labels/incremental.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tidewheel/labels/majority.h"
#include "tidewheel/labels/testing/consensus_properties.h"
#include "tidewheel/labels/testing/simulated_crowd.h"

namespace tidewheel::labels {
namespace {

using internal::SimulatedCrowd;
using testing::HasSubstr;

/// The first `votes` of a crowd.
SimulatedCrowd First(const SimulatedCrowd& crowd, std::size_t votes) {
  SimulatedCrowd first = crowd;
  first.item.resize(votes);
  first.worker.resize(votes);
  first.label.resize(votes);
  return first;
}

TEST(IncrementalDawidSkeneTest, FullPassesNowAndThenAreTheBatchToTheBit) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const SimulatedCrowd crowd =
        internal::Reordered(internal::Simulate(40, 5, 2 + seed % 3, seed), seed);
    auto live = IncrementalDawidSkene::Create(crowd.classes);
    ASSERT_TRUE(live.ok());
    for (std::size_t v = 0; v < crowd.item.size(); ++v) {
      ASSERT_TRUE(live->Add(crowd.item[v], crowd.worker[v], crowd.label[v]).ok());
      if (v % 23 != 22 && v + 1 != crowd.item.size()) continue;
      ASSERT_TRUE(live->Refit().ok());
      EXPECT_EQ(live->votes_since_refit(), 0U);
      SimulatedCrowd so_far = First(crowd, v + 1);
      so_far.items = live->items();
      so_far.workers = live->workers();
      const auto batch = DawidSkene(so_far.View());
      internal::ExpectSame(live->fitted(), *batch);
      for (std::size_t i = 0; i < live->items(); ++i) {
        const auto posterior = live->Posterior(i);
        ASSERT_TRUE(
            std::equal(posterior.begin(), posterior.end(),
                       batch->posterior.begin() + static_cast<std::ptrdiff_t>(i * crowd.classes)));
        ASSERT_EQ(live->Label(i), batch->label[i]);
      }
    }
  }
}

TEST(IncrementalDawidSkeneTest, BeforeTheFirstFullPassPosteriorsAreVoteShares) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const SimulatedCrowd crowd = internal::SimulateAnything(seed);
    auto live = IncrementalDawidSkene::Create(crowd.classes);
    for (std::size_t v = 0; v < crowd.item.size(); ++v) {
      ASSERT_TRUE(live->Add(crowd.item[v], crowd.worker[v], crowd.label[v]).ok());
    }
    const auto majority = Majority(crowd.View());
    std::vector<bool> voted(crowd.items);
    for (std::size_t v = 0; v < crowd.item.size(); ++v) {
      if (crowd.label[v] != kAbstain) voted[static_cast<std::size_t>(crowd.item[v])] = true;
    }
    for (std::size_t i = 0; i < live->items(); ++i) {
      for (std::size_t k = 0; k < crowd.classes; ++k) {
        ASSERT_EQ(live->Posterior(i)[k], voted[i] ? majority->posterior[i * crowd.classes + k]
                                                  : 1 / static_cast<double>(crowd.classes));
      }
    }
  }
}

TEST(IncrementalDawidSkeneTest, OneVoteIsOneExpectationOfItsItemAlone) {
  const SimulatedCrowd crowd = internal::Simulate(50, 5, 3, 4);
  auto live = IncrementalDawidSkene::Create(3);
  for (std::size_t v = 0; v < crowd.item.size(); ++v) {
    ASSERT_TRUE(live->Add(crowd.item[v], crowd.worker[v], crowd.label[v]).ok());
  }
  ASSERT_TRUE(live->Refit().ok());
  const Consensus fitted = live->fitted();
  ASSERT_TRUE(live->Add(7, 2, 1).ok());
  ASSERT_TRUE(live->Add(7, 4, 0).ok());
  EXPECT_EQ(live->votes_since_refit(), 2U);

  double logs[3];
  double sum = 0;
  for (std::size_t k = 0; k < 3; ++k) {
    logs[k] = std::log(fitted.prior[k]);
    const auto add = [&](std::size_t w, std::size_t l) {
      logs[k] += std::log(fitted.confusion[(w * 3 + k) * 3 + l]);
    };
    for (std::size_t v = 0; v < crowd.item.size(); ++v) {
      if (crowd.item[v] == 7) {
        add(static_cast<std::size_t>(crowd.worker[v]), static_cast<std::size_t>(crowd.label[v]));
      }
    }
    add(2, 1);
    add(4, 0);
    sum += std::exp(logs[k]);
  }
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_NEAR(live->Posterior(7)[k], std::exp(logs[k]) / sum, 1e-12);
  }
  for (std::size_t i = 0; i < 50; ++i) {
    if (i == 7) continue;
    EXPECT_EQ(live->Posterior(i)[0], fitted.posterior[i * 3]);
  }
}

TEST(IncrementalDawidSkeneTest, NewWorkerIsTakenForAUsualOneAndANewItemStartsFromThePrior) {
  const SimulatedCrowd crowd = internal::Simulate(200, 4, 2, 9);
  auto live = IncrementalDawidSkene::Create(2);
  for (std::size_t v = 0; v < crowd.item.size(); ++v) {
    ASSERT_TRUE(live->Add(crowd.item[v], crowd.worker[v], crowd.label[v]).ok());
  }
  ASSERT_TRUE(live->Refit().ok());
  ASSERT_TRUE(live->Add(201, 9, 1).ok());

  EXPECT_EQ(live->items(), 202U);
  EXPECT_EQ(live->workers(), 10U);
  EXPECT_EQ(live->Posterior(200)[0], live->fitted().prior[0]);
  EXPECT_EQ(live->Label(201), 1);
  // A usual worker of this crowd is right seven to nine times of ten.
  EXPECT_GT(live->Posterior(201)[1], 0.65);
  EXPECT_LT(live->Posterior(201)[1], 0.95);
}

TEST(IncrementalDawidSkeneTest, KnownWorkerCountsAsSuchFromTheFirstFullPass) {
  DawidSkeneOptions options;
  options.known = {GoldWorker(6, 2, 0.999)};
  auto live = IncrementalDawidSkene::Create(2, options);
  ASSERT_TRUE(live.ok());
  for (std::int32_t i = 0; i < 8; ++i) {
    for (std::int32_t w = 0; w < 3; ++w) ASSERT_TRUE(live->Add(i, w, (i + w / 2) % 2).ok());
  }
  ASSERT_TRUE(live->Refit().ok());
  ASSERT_TRUE(live->Add(8, 6, 0).ok());
  EXPECT_GT(live->Posterior(8)[0], 0.99);
}

TEST(IncrementalDawidSkeneTest, FailedFullPassChangesNothing) {
  auto live = IncrementalDawidSkene::Create(2);
  ASSERT_TRUE(live->Add(0, 0, 1).ok());
  const auto refit = live->Refit();
  EXPECT_EQ(refit.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(live->Posterior(0)[1], 1);
  EXPECT_EQ(live->votes_since_refit(), 1U);
  ASSERT_TRUE(live->Add(0, 1, 1).ok());
  EXPECT_TRUE(live->Refit().ok());
}

TEST(IncrementalDawidSkeneTest, BadInputIsNamed) {
  const auto error_of = [](std::size_t classes, const DawidSkeneOptions& options) {
    return IncrementalDawidSkene::Create(classes, options).error().message;
  };
  EXPECT_THAT(error_of(1, {}), HasSubstr("not 1"));
  EXPECT_THAT(error_of(100'000, {}), HasSubstr("not 100000"));
  EXPECT_THAT(error_of(2, {.smoothing = 0, .known = {}}), HasSubstr("smoothing"));
  EXPECT_THAT(error_of(2, {.known = {GoldWorker(-4, 2)}}), HasSubstr("known worker -4"));
  EXPECT_THAT(error_of(2, {.known = {GoldWorker(1, 3)}}), HasSubstr("not of 2 x 2"));
  auto live = IncrementalDawidSkene::Create(2);
  EXPECT_THAT(live->Add(-1, 0, 0).error().message, HasSubstr("item -1"));
  EXPECT_THAT(live->Add(0, 1 << 30, 0).error().message, HasSubstr("worker 1073741824"));
  EXPECT_THAT(live->Add(0, 0, 2).error().message, HasSubstr("label 2"));
  EXPECT_THAT(live->Add(0, 0, -2).error().message, HasSubstr("label -2"));
  EXPECT_THAT(live->Add((1 << 30) - 1, 0, 0).error().message, HasSubstr("posteriors"));
  EXPECT_TRUE(live->Add(5, 5, kAbstain).ok());
  EXPECT_EQ(live->votes(), 0U);
  EXPECT_THAT(live->Refit().error().message, HasSubstr("no votes"));
}

}  // namespace
}  // namespace tidewheel::labels
