#include "tidewheel/stats/estimate_audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using testing::HasSubstr;

std::vector<AuditedEstimate> Chunks(std::size_t covered, std::size_t missed) {
  std::vector<AuditedEstimate> chunks(covered, {0.8, {0.7, 0.9}, 0.75});
  chunks.resize(covered + missed, {0.8, {0.7, 0.9}, 0.6});
  return chunks;
}

TEST(EstimateAuditTest, CountsWhatTheBandHeld) {
  const auto audit = AuditEstimates(Chunks(10, 2));
  ASSERT_TRUE(audit.ok());
  EXPECT_DOUBLE_EQ(audit->coverage.value, 10.0 / 12);
  EXPECT_LT(audit->coverage.interval.low, 10.0 / 12);
  EXPECT_NEAR(audit->mean_error, (10 * 0.05 + 2 * 0.2) / 12, 1e-12);
  EXPECT_NEAR(audit->mean_absolute_error, (10 * 0.05 + 2 * 0.2) / 12, 1e-12);
  EXPECT_EQ(audit->worst, 10U);
  EXPECT_EQ(audit->chunks.size(), 12U);
  // The tail of the binomial distribution: not 12 and not 11 of 12.
  const double p = 0.9973002039367398;
  EXPECT_NEAR(audit->p_value, 1 - std::pow(p, 12) - 12 * std::pow(p, 11) * (1 - p), 1e-12);
  EXPECT_EQ(audit->verdict, EstimateVerdict::kUntrustworthy);
  EXPECT_THAT(audit->reason, HasSubstr("10 of 12"));
}

TEST(EstimateAuditTest, OneMissInManyIsWhatABandPromises) {
  EXPECT_EQ(AuditEstimates(Chunks(99, 1))->verdict, EstimateVerdict::kTrustworthy);
  EXPECT_EQ(AuditEstimates(Chunks(5, 0))->verdict, EstimateVerdict::kTooFewChunks);
  EXPECT_EQ(AuditEstimates(Chunks(6, 0))->verdict, EstimateVerdict::kTrustworthy);
  EXPECT_EQ(AuditEstimates(Chunks(0, 2))->verdict, EstimateVerdict::kUntrustworthy);
}

TEST(EstimateAuditTest, GoodEstimatesAreRarelyCalledUntrustworthy) {
  int wrong = 0;
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    Random random(seed);
    std::vector<AuditedEstimate> chunks;
    for (int i = 0; i < 24; ++i) chunks.push_back({0, {-2, 2}, random.Normal()});
    const auto audit = AuditEstimates(chunks, {.nominal_coverage = 0.954499736103642});
    wrong += audit->verdict == EstimateVerdict::kUntrustworthy ? 1 : 0;
  }
  EXPECT_LE(wrong, 20);  // Significance .01: 10 expected at most.
}

TEST(EstimateAuditTest, BadInputIsNamed) {
  const auto problem = [](std::vector<AuditedEstimate> chunks, AuditOptions options = {}) {
    const auto audit = AuditEstimates(chunks, options);
    return audit.ok() ? std::string("taken") : audit.error().message;
  };
  EXPECT_THAT(problem({}), HasSubstr("needs chunks"));
  EXPECT_THAT(problem({{1, {0, 2}, 1}, {NAN, {0, 2}, 1}}), HasSubstr("chunk 1"));
  EXPECT_THAT(problem({{1, {0, 2}, INFINITY}}), HasSubstr("chunk 0"));
  EXPECT_THAT(problem({{1, {2, 0}, 1}}), HasSubstr("from low to high"));
  EXPECT_THAT(problem({{1, {0, 2}, 1}}, {.nominal_coverage = 1}), HasSubstr("coverage"));
}

}  // namespace
}  // namespace tidewheel::stats
