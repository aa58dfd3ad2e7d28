#include "tidewheel/labels/dawid_skene.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tidewheel/labels/majority.h"
#include "tidewheel/labels/testing/consensus_properties.h"
#include "tidewheel/labels/testing/simulated_crowd.h"

namespace tidewheel::labels {
namespace {

using internal::SimulatedCrowd;
using testing::HasSubstr;

/// Dawid-Skene as section 2 of the definitions has it, one loop a formula, nothing clever.
struct Plain {
  std::vector<double> posterior, prior, confusion;  // confusion: workers x true x vote.
  double log_likelihood = 0;
};

Plain PlainDawidSkene(const SimulatedCrowd& crowd, double smoothing, std::uint32_t rounds) {
  const std::size_t classes = crowd.classes;
  std::vector<double> voted(crowd.items);
  Plain plain;
  plain.posterior.resize(crowd.items * classes);
  const auto each_vote = [&](auto visit) {
    for (std::size_t v = 0; v < crowd.item.size(); ++v) {
      if (crowd.label[v] == kAbstain) continue;
      visit(static_cast<std::size_t>(crowd.item[v]), static_cast<std::size_t>(crowd.worker[v]),
            static_cast<std::size_t>(crowd.label[v]));
    }
  };
  each_vote([&](std::size_t i, std::size_t, std::size_t l) {
    plain.posterior[i * classes + l] += 1;
    voted[i] += 1;
  });
  double items = 0;
  for (std::size_t i = 0; i < crowd.items; ++i) {
    items += voted[i] > 0 ? 1 : 0;
    for (std::size_t k = 0; k < classes && voted[i] > 0; ++k) {
      plain.posterior[i * classes + k] /= voted[i];
    }
  }
  const auto learn_prior = [&] {
    plain.prior.assign(classes, 0);
    for (std::size_t i = 0; i < crowd.items; ++i) {
      for (std::size_t k = 0; k < classes && voted[i] > 0; ++k) {
        plain.prior[k] += plain.posterior[i * classes + k] / items;
      }
    }
  };
  for (std::uint32_t round = 0; round < rounds; ++round) {
    learn_prior();
    plain.confusion.assign(crowd.workers * classes * classes, smoothing);
    each_vote([&](std::size_t i, std::size_t w, std::size_t l) {
      for (std::size_t k = 0; k < classes; ++k) {
        plain.confusion[(w * classes + k) * classes + l] += plain.posterior[i * classes + k];
      }
    });
    for (std::size_t row = 0; row < crowd.workers * classes; ++row) {
      double sum = 0;
      for (std::size_t l = 0; l < classes; ++l) sum += plain.confusion[row * classes + l];
      for (std::size_t l = 0; l < classes; ++l) plain.confusion[row * classes + l] /= sum;
    }
    std::vector<long double> logs(crowd.items * classes);
    for (std::size_t n = 0; n < logs.size(); ++n) {
      logs[n] = std::log(static_cast<long double>(plain.prior[n % classes]));
    }
    each_vote([&](std::size_t i, std::size_t w, std::size_t l) {
      for (std::size_t k = 0; k < classes; ++k) {
        logs[i * classes + k] +=
            std::log(static_cast<long double>(plain.confusion[(w * classes + k) * classes + l]));
      }
    });
    plain.log_likelihood = 0;
    for (std::size_t i = 0; i < crowd.items; ++i) {
      if (voted[i] == 0) continue;
      long double* const row = logs.data() + i * classes;
      const long double largest = *std::max_element(row, row + classes);
      long double sum = 0;
      for (std::size_t k = 0; k < classes; ++k) sum += std::exp(row[k] - largest);
      for (std::size_t k = 0; k < classes; ++k) {
        plain.posterior[i * classes + k] = static_cast<double>(std::exp(row[k] - largest) / sum);
      }
      plain.log_likelihood += static_cast<double>(largest + std::log(sum));
    }
  }
  learn_prior();
  for (std::size_t i = 0; i < crowd.items; ++i) {
    for (std::size_t k = 0; k < classes && voted[i] == 0; ++k) {
      plain.posterior[i * classes + k] = plain.prior[k];
    }
  }
  return plain;
}

void ExpectNear(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t n = 0; n < a.size(); ++n) ASSERT_NEAR(a[n], b[n], tolerance) << n;
}

TEST(DawidSkeneTest, AgreesWithThePlainFormulasForAnyNumberOfClasses) {
  for (const std::size_t classes : {2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 16, 17, 24, 31}) {
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      SimulatedCrowd crowd = internal::Simulate(70 + 40 * seed, 5, classes, seed);
      crowd.items += seed % 2;  // The last without votes.
      for (const std::uint32_t rounds : {1U, 2U, 7U}) {
        const auto ours = DawidSkene(crowd.View(), {.rounds = rounds, .tolerance = 0, .known = {}});
        const Plain plain = PlainDawidSkene(crowd, 0.01, rounds);
        ASSERT_TRUE(ours.ok());
        ExpectNear(ours->posterior, plain.posterior, 1e-9);
        ExpectNear(ours->prior, plain.prior, 1e-10);
        ExpectNear(ours->confusion, plain.confusion, 1e-9);
        ASSERT_NEAR(ours->log_likelihood, plain.log_likelihood,
                    1e-10 * std::abs(plain.log_likelihood));
      }
    }
  }
}

TEST(DawidSkeneTest, AgreesWithThePlainFormulasForVotesOfAnyShape) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const SimulatedCrowd crowd = internal::SimulateAnything(seed);
    const auto ours = DawidSkene(crowd.View(), {.rounds = 3, .tolerance = 0, .known = {}});
    const Plain plain = PlainDawidSkene(crowd, 0.01, 3);
    ExpectNear(ours->posterior, plain.posterior, 1e-9);
    ExpectNear(ours->confusion, plain.confusion, 1e-9);
  }
}

TEST(DawidSkeneTest, EachRoundClimbsTheLogLikelihoodAndItsSmoothing) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const SimulatedCrowd crowd = internal::SimulateAnything(seed);
    double before = -std::numeric_limits<double>::infinity();
    for (std::uint32_t rounds = 1; rounds < 40; ++rounds) {
      const auto fitted = DawidSkene(crowd.View(), {.rounds = rounds, .tolerance = 0, .known = {}});
      double objective = fitted->log_likelihood;
      for (const double share : fitted->confusion) objective += 0.01 * std::log(share);
      ASSERT_GE(objective, before - 1e-9) << "seed " << seed << ", round " << rounds;
      before = objective;
    }
  }
}

TEST(DawidSkeneTest, StopsWhenTheLogLikelihoodHasSettled) {
  const SimulatedCrowd crowd = internal::Simulate(300, 6, 3, 5);
  const auto settled = DawidSkene(crowd.View());
  const auto cut = DawidSkene(crowd.View(), {.rounds = 3, .known = {}});
  const auto same =
      DawidSkene(crowd.View(), {.rounds = settled->rounds, .tolerance = 0, .known = {}});

  EXPECT_TRUE(settled->converged);
  EXPECT_LT(settled->rounds, 100U);
  EXPECT_FALSE(cut->converged);
  EXPECT_EQ(cut->rounds, 3U);
  // Posteriors written on the way are those of the pass after the end.
  EXPECT_EQ(settled->posterior, same->posterior);
}

TEST(DawidSkeneTest, KnowsGoodWorkersFromBadOnes) {
  const SimulatedCrowd crowd = internal::Simulate(1'500, 8, 3, 4);
  const auto consensus = DawidSkene(crowd.View());
  ASSERT_TRUE(consensus.ok());
  EXPECT_GT(Accuracy(*consensus, crowd), Accuracy(*Majority(crowd.View()), crowd));
  EXPECT_GT(consensus->quality.back(), consensus->quality.front() + 0.15);
}

TEST(DawidSkeneTest, ManyVotesOfOneItemStayInRange) {
  // 1e-30 and 20,000 votes: the likelihoods are far below the smallest number there is.
  SimulatedCrowd crowd;
  for (std::int32_t w = 0; w < 20'000; ++w) crowd.Add(w % 3, w, w % 7 == 0 ? 1 : 0);
  crowd.classes = 20;
  const auto consensus = DawidSkene(crowd.View(), {.smoothing = 1e-30, .known = {}});
  ASSERT_TRUE(consensus.ok());
  internal::ExpectWhole(*consensus, crowd);
  EXPECT_TRUE(std::isfinite(consensus->log_likelihood));
}

TEST(DawidSkeneTest, LoneWorkerIsJudgedOnlyWhereAsked) {
  SimulatedCrowd crowd;
  for (std::int32_t i = 0; i < 4; ++i) crowd.Add(i, 0, i % 2);
  const auto refused = DawidSkene(crowd.View());
  const auto allowed = DawidSkene(crowd.View(), {.known = {}, .without_overlap = true});

  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(refused.error().message, HasSubstr("only one worker voted"));
  ASSERT_TRUE(allowed.ok());
  EXPECT_EQ(allowed->label, Majority(crowd.View())->label);
}

TEST(DawidSkeneTest, GoldReaderIsBelievedAgainstTheMany) {
  // Three workers who copy each other, and one whose labels are true.
  SimulatedCrowd crowd;
  for (std::int32_t i = 0; i < 12; ++i) {
    for (std::int32_t w = 0; w < 3; ++w) crowd.Add(i, w, (i + (i % 3 == 0 ? 1 : 0)) % 2);
    crowd.Add(i, 3, i % 2);
  }
  DawidSkeneOptions options;
  options.known = {GoldWorker(3, 2)};
  const auto learned = DawidSkene(crowd.View());
  const auto known = DawidSkene(crowd.View(), options);

  ASSERT_TRUE(learned.ok() && known.ok());
  for (std::size_t i = 0; i < 12; i += 3) {
    EXPECT_EQ(learned->label[i], static_cast<std::int32_t>((i + 1) % 2));
    EXPECT_EQ(known->label[i], static_cast<std::int32_t>(i % 2));
    EXPECT_GT(known->posterior[i * 2 + i % 2], 1 - 1e-8);
  }
  EXPECT_NEAR(known->quality[3], 1, 1e-8);
  EXPECT_NEAR(known->quality[0], 8.0 / 12, 0.01);
}

TEST(DawidSkeneTest, SingleGoldReaderStaysCertainHoweverFewTheItems) {
  SimulatedCrowd crowd;
  crowd.Add(0, 0, 0);
  crowd.Add(1, 0, 1);
  DawidSkeneOptions options;
  options.known = {GoldWorker(0, 2)};
  options.smoothing = 1;
  const auto consensus = DawidSkene(crowd.View(), options);
  ASSERT_TRUE(consensus.ok());  // Known workers need no others.
  EXPECT_GT(consensus->posterior[0], 1 - 1e-8);
  EXPECT_GT(consensus->posterior[3], 1 - 1e-8);
}

TEST(DawidSkeneTest, KnownWorkersWhoContradictEachOtherLeaveATie) {
  SimulatedCrowd crowd;
  crowd.Add(0, 0, 0);
  crowd.Add(0, 1, 1);
  DawidSkeneOptions options;
  options.known = {GoldWorker(0, 2), GoldWorker(1, 2)};
  const auto consensus = DawidSkene(crowd.View(), options);
  ASSERT_TRUE(consensus.ok());
  EXPECT_EQ(consensus->posterior[0], 0.5);
  EXPECT_EQ(consensus->ties, 1U);
}

TEST(DawidSkeneTest, KnownConfusionsThatAreTheLearnedOnesChangeNothing) {
  const SimulatedCrowd crowd = internal::Simulate(400, 6, 3, 11);
  const auto learned = DawidSkene(crowd.View(), {.rounds = 500, .tolerance = 0, .known = {}});
  DawidSkeneOptions options{.rounds = 500, .tolerance = 0, .known = {}};
  const auto own = std::span(learned->confusion).subspan(2 * 9, 9);
  options.known = {{2, std::vector<double>(own.begin(), own.end())}};
  const auto known = DawidSkene(crowd.View(), options);
  ExpectNear(learned->posterior, known->posterior, 1e-9);
  ExpectNear(learned->confusion, known->confusion, 1e-9);
}

TEST(DawidSkeneTest, WhoIsTakenToBeRightBeforeIsBelievedOnAClassNeverSeen) {
  // Three workers were seen with class 0 alone, where they took it for 2 now and then; then all
  // three say 2.
  SimulatedCrowd crowd;
  std::int32_t item = 0;
  for (; item < 100; ++item) {
    for (std::int32_t worker = 0; worker < 3; ++worker) {
      crowd.Add(item, worker, item % 10 == worker ? 2 : 0);
    }
    crowd.Add(item, 3, 0);
  }
  for (; item < 400; ++item) {
    for (std::int32_t worker = 3; worker < 5; ++worker) crowd.Add(item, worker, item % 2);
  }
  for (std::int32_t worker = 0; worker < 3; ++worker) crowd.Add(item, worker, 2);
  const auto trusted = DawidSkene(crowd.View(), {.right_before = 5, .known = {}});
  ASSERT_TRUE(trusted.ok()) << trusted.error().message;
  EXPECT_EQ(trusted->label[static_cast<std::size_t>(item)], 2);
  EXPECT_GT(trusted->posterior[static_cast<std::size_t>(item) * 3 + 2], 0.7);
  // Many votes speak for themselves.
  EXPECT_NEAR(trusted->confusion[2], 0.1, 0.02);
}

TEST(DawidSkeneTest, BadOptionsAreNamed) {
  const SimulatedCrowd crowd = internal::Simulate(20, 3, 2, 1);
  const auto error_of = [&](const DawidSkeneOptions& options) {
    const auto fitted = DawidSkene(crowd.View(), options);
    return fitted.ok() ? "" : fitted.error().message;
  };
  EXPECT_THAT(error_of({.smoothing = 0, .known = {}}), HasSubstr("smoothing above 0"));
  EXPECT_THAT(error_of({.smoothing = std::nan(""), .known = {}}), HasSubstr("smoothing above 0"));
  EXPECT_THAT(error_of({.right_before = -1, .known = {}}), HasSubstr("right_before of 0 or more"));
  EXPECT_THAT(error_of({.tolerance = -1, .known = {}}), HasSubstr("tolerance of 0 or"));
  EXPECT_THAT(error_of({.known = {{3, {1, 0, 0, 1}}}}),
              HasSubstr("known worker 3 is none of the 3"));
  EXPECT_THAT(error_of({.known = {{-1, {1, 0, 0, 1}}}}), HasSubstr("known worker -1"));
  EXPECT_THAT(error_of({.known = {GoldWorker(1, 2), GoldWorker(1, 2)}}), HasSubstr("named twice"));
  EXPECT_THAT(error_of({.known = {GoldWorker(1, 3)}}), HasSubstr("9 numbers, not of 2 x 2"));
  EXPECT_THAT(error_of({.known = {{1, {1, 0, 0.2, 0.7}}}}), HasSubstr("row 1 that sums to 0.9"));
  EXPECT_THAT(error_of({.known = {{1, {1.5, -0.5, 0, 1}}}}), HasSubstr("row 0, column 0"));
  EXPECT_THAT(error_of({.known = {{1, {std::nan(""), 1, 0, 1}}}}), HasSubstr("row 0, column 0"));
}

}  // namespace
}  // namespace tidewheel::labels
