#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "tidewheel/labels/consensus.h"
#include "tidewheel/labels/testing/simulated_crowd.h"

/// What every method owes, for the tests.
namespace tidewheel::labels::internal {

inline void ExpectRowsSumTo1(std::span<const double> values, std::size_t columns,
                             const char* what) {
  ASSERT_EQ(values.size() % columns, 0U) << what;
  for (std::size_t row = 0; row < values.size() / columns; ++row) {
    double sum = 0;
    for (std::size_t k = 0; k < columns; ++k) {
      ASSERT_GE(values[row * columns + k], 0) << what << " row " << row;
      sum += values[row * columns + k];
    }
    ASSERT_NEAR(sum, 1, 1e-11) << what << " row " << row;
  }
}

/// Shapes, shares, and labels that follow from the posterior by the tie rule.
inline void ExpectWhole(const Consensus& consensus, const VoteList& votes) {
  ASSERT_EQ(consensus.posterior.size(), votes.items * votes.classes);
  ASSERT_EQ(consensus.prior.size(), votes.classes);
  ASSERT_EQ(consensus.confusion.size(), votes.workers * votes.classes * votes.classes);
  ASSERT_EQ(consensus.quality.size(), votes.workers);
  ASSERT_EQ(consensus.label.size(), votes.items);
  ASSERT_EQ(consensus.tied.size(), votes.items);
  ExpectRowsSumTo1(consensus.posterior, votes.classes, "posterior");
  ExpectRowsSumTo1(consensus.prior, votes.classes, "prior");
  ExpectRowsSumTo1(consensus.confusion, votes.classes, "confusion");
  for (const double quality : consensus.quality) {
    ASSERT_GE(quality, 0);
    ASSERT_LE(quality, 1 + 1e-12);
  }
  std::size_t ties = 0;
  for (std::size_t i = 0; i < votes.items; ++i) {
    const double* const p = consensus.posterior.data() + i * votes.classes;
    const double best = *std::max_element(p, p + votes.classes);
    const auto label = static_cast<std::size_t>(consensus.label[i]);
    ASSERT_LT(label, votes.classes);
    ASSERT_NEAR(p[label], best, 1e-12);
    const auto near = [best](double share) { return share >= best - 1e-12; };
    ASSERT_EQ(consensus.tied[i] != 0, std::count_if(p, p + votes.classes, near) > 1);
    ties += consensus.tied[i];
  }
  ASSERT_EQ(consensus.ties, ties);
}

/// The same to the bit.
inline void ExpectSame(const Consensus& a, const Consensus& b) {
  EXPECT_EQ(a.posterior, b.posterior);
  EXPECT_EQ(a.prior, b.prior);
  EXPECT_EQ(a.confusion, b.confusion);
  EXPECT_EQ(a.quality, b.quality);
  EXPECT_EQ(a.label, b.label);
  EXPECT_EQ(a.ties, b.ties);
  EXPECT_EQ(a.log_likelihood, b.log_likelihood);
}

/// The same under other names, within `tolerance`; labels where there is no tie.
inline void ExpectSameRenamed(const Consensus& a, const Consensus& b, const Renamed& renamed,
                              double tolerance) {
  const std::size_t classes = renamed.label.size();
  for (std::size_t i = 0; i < renamed.item.size(); ++i) {
    for (std::size_t k = 0; k < classes; ++k) {
      ASSERT_NEAR(a.posterior[i * classes + k],
                  b.posterior[renamed.item[i] * classes + renamed.label[k]], tolerance)
          << "item " << i;
    }
    if (a.tied[i] != 0 || b.tied[renamed.item[i]] != 0) continue;
    const double* const p = a.posterior.data() + i * classes;
    std::vector<double> sorted(p, p + classes);
    std::sort(sorted.begin(), sorted.end());
    if (sorted[classes - 1] - sorted[classes - 2] < 2 * tolerance) continue;
    ASSERT_EQ(renamed.label[static_cast<std::size_t>(a.label[i])],
              static_cast<std::size_t>(b.label[renamed.item[i]]));
  }
  for (std::size_t w = 0; w < renamed.worker.size(); ++w) {
    ASSERT_NEAR(a.quality[w], b.quality[renamed.worker[w]], tolerance) << "worker " << w;
  }
}

}  // namespace tidewheel::labels::internal
