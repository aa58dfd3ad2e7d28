#include "tidewheel/monitoring/domain/rank.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "tidewheel/base/random.h"

namespace tidewheel::monitoring {
namespace {

const ModelKey kModel{"lights", "model-1"};
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

RankCandidate Candidate(int i) {
  RankCandidate candidate;
  candidate.model = kModel;
  candidate.row.request_id = "r-" + std::to_string(i);
  return candidate;
}

std::vector<std::string> Names(const std::vector<RankedPrediction>& ranked) {
  std::vector<std::string> names;
  for (const auto& one : ranked) names.push_back(one.prediction.row.request_id);
  return names;
}

std::shared_ptr<const Profile> UnitProfile() {
  auto profile = std::make_shared<Profile>();
  profile->embedding.mean = {1, 0};
  profile->embedding.covariance = {4, 0, 0, 1};
  FeatureReference feature;
  feature.name = "luminance";
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(feature.moments.Add(i % 2 == 0 ? -1.0 : 1.0).ok());
  profile->features.push_back(feature);
  return profile;
}

TEST(RankTest, TheSmallestMarginIsTheMostUncertain) {
  RankCandidates candidates;
  for (int i = 0; i < 3; ++i) candidates.items.push_back(Candidate(i));
  candidates.items[0].row.probabilities = {0.75F, 0.25F, 0};
  candidates.items[1].row.probabilities = {0.25F, 0.375F, 0.375F};
  candidates.items[2].row.probabilities = {1, 0, 0};
  RankQuery query;
  const auto ranked = Rank(candidates, query, {});
  EXPECT_EQ(Names(ranked), (std::vector<std::string>{"r-1", "r-0", "r-2"}));
  EXPECT_EQ(ranked[0].score, 1);
  EXPECT_EQ(ranked[1].score, 0.5);
  query.count = 1;
  EXPECT_EQ(Rank(candidates, query, {}).size(), 1U);
}

TEST(RankTest, DriftIsTheDistanceInTheReferencesOwnSpread) {
  RankCandidates candidates;
  candidates.features[kModel] = {"unknown", "luminance"};
  for (int i = 0; i < 4; ++i) candidates.items.push_back(Candidate(i));
  candidates.items[0].row.embedding = {3, 0};        // One deviation away.
  candidates.items[1].row.embedding = {1, 3};        // Three.
  candidates.items[2].row.features = {1'000, -5};    // Five, by the feature that is known.
  candidates.items[3].row.features = {1'000, kNaN};  // Nothing is known.
  RankQuery query;
  query.order = RankOrder::kDrifted;
  const auto ranked = Rank(candidates, query, {{kModel, UnitProfile()}});
  EXPECT_EQ(Names(ranked), (std::vector<std::string>{"r-2", "r-1", "r-0", "r-3"}));
  EXPECT_NEAR(ranked[0].score, 5, 0.1);
  EXPECT_NEAR(ranked[1].score, 3, 1e-6);
  EXPECT_NEAR(ranked[2].score, 1, 1e-6);
  EXPECT_EQ(ranked[3].score, 0);
  for (const auto& one : Rank(candidates, query, {})) EXPECT_EQ(one.score, 0);
}

TEST(RankTest, ARandomChoiceIsTheSeedsWhateverTheOrder) {
  RankCandidates candidates;
  for (int i = 0; i < 1'000; ++i) candidates.items.push_back(Candidate(i));
  RankQuery query;
  query.order = RankOrder::kRandom;
  query.count = 100;
  query.seed = 7;
  const auto chosen = Names(Rank(candidates, query, {}));
  Random random(1);
  for (std::size_t i = candidates.items.size(); i > 1; --i) {
    std::swap(candidates.items[i - 1], candidates.items[random.Below(i)]);
  }
  EXPECT_EQ(Names(Rank(candidates, query, {})), chosen);
  query.seed = 8;
  const auto others = Names(Rank(candidates, query, {}));
  const std::set<std::string> known(chosen.begin(), chosen.end());
  const auto both = std::count_if(others.begin(), others.end(),
                                  [&](const auto& name) { return known.contains(name); });
  EXPECT_LT(both, 30);  // 10 are expected.
}

}  // namespace
}  // namespace tidewheel::monitoring
