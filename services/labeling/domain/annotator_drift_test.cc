#include "tidewheel/labeling/domain/annotator_drift.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "tidewheel/base/random.h"

namespace tidewheel::labeling {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::size_t kClasses = 3;

/// Samples one after another, each answered by some annotators of stated error rates.
class World {
 public:
  World(std::size_t annotators, std::uint64_t seed)
      : errors_(annotators, 0.05), facts_(annotators), random_(seed) {}

  void SetError(std::size_t annotator, double error) { errors_[annotator] = error; }
  void SetKind(std::size_t annotator, AnnotatorKind kind) { facts_[annotator].kind = kind; }

  void Ask(int samples, std::size_t votes_each) {
    for (int i = 0; i < samples; ++i) {
      std::set<std::size_t> asked;
      while (asked.size() < votes_each) asked.insert(random_.Below(errors_.size()));
      const auto truth = static_cast<std::int32_t>(random_.Below(kClasses));
      for (const std::size_t who : asked) Answer(who, truth, -1);
      ++sample_;
    }
  }
  void AskKnown(std::size_t annotator, int samples) {
    for (int i = 0; i < samples; ++i) {
      const auto truth = static_cast<std::int32_t>(random_.Below(kClasses));
      Answer(annotator, truth, truth);
    }
  }

  void Shuffle() {
    for (std::size_t i = answers_.size(); i > 1; --i) {
      std::swap(answers_[i - 1], answers_[random_.Below(i)]);
    }
  }

  std::vector<Assessment> Assess() const { return AssessAnnotators(answers_, facts_, kClasses); }
  std::vector<int> Worse(double below) const {
    std::vector<int> worse;
    for (const auto& one : Assess()) {
      if (one.p_value < below) worse.push_back(one.annotator);
    }
    return worse;
  }

 private:
  void Answer(std::size_t who, std::int32_t truth, std::int32_t known) {
    std::int32_t said = truth;
    if (random_.Uniform() < errors_[who]) {
      said = static_cast<std::int32_t>(
          (static_cast<std::uint64_t>(truth) + 1 + random_.Below(kClasses - 1)) % kClasses);
    }
    answers_.push_back({.sample = sample_,
                        .annotator = static_cast<std::int32_t>(who),
                        .class_index = said,
                        .at = Timestamp(std::chrono::seconds(answers_.size())),
                        .known_class = known});
  }

  std::vector<double> errors_;
  std::vector<AnnotatorFacts> facts_;
  std::vector<CastAnswer> answers_;
  std::int32_t sample_ = 0;
  Random random_;
};

/// Who is named over many worlds in which `guilty` of `annotators` get worse.
struct Record {
  int exact = 0;  // Worlds in which the guilty ones and nobody else are named.
  int missed = 0;
  int wrong = 0;
};

Record Accuse(std::size_t annotators, const std::vector<int>& guilty, double error, int before,
              int after, std::size_t votes_each, int worlds) {
  Record record;
  for (int seed = 1; seed <= worlds; ++seed) {
    World world(annotators, static_cast<std::uint64_t>(seed));
    world.Ask(before, votes_each);
    for (const int who : guilty) world.SetError(static_cast<std::size_t>(who), error);
    world.Ask(after, votes_each);
    const auto named = world.Worse(0.001);
    record.exact += named == guilty ? 1 : 0;
    for (const int who : guilty) record.missed += std::count(named.begin(), named.end(), who) == 0;
    for (const int who : named) record.wrong += std::count(guilty.begin(), guilty.end(), who) == 0;
  }
  return record;
}

TEST(AssessAnnotatorsTest, TwoOfFiveWhoGotWorseAreNamedAndTheOthersAreNot) {
  // 80 votes each, half of the good ones' beside a guilty one's: half of those disagree.
  const Record pairs = Accuse(5, {1, 3}, 0.5, 300, 200, 2, 100);
  EXPECT_GE(pairs.exact, 90);
  EXPECT_LE(pairs.missed, 10);  // Of 200.
  EXPECT_LE(pairs.wrong, 3);    // Of 300.
  const Record triples = Accuse(5, {1, 3}, 0.5, 300, 200, 3, 100);
  EXPECT_GE(triples.exact, 90);
  EXPECT_LE(triples.missed, 2);
  EXPECT_LE(triples.wrong, 8);
}

TEST(AssessAnnotatorsTest, OneWhoGuessesIsFoundAlsoAmongThreeAndByFewVotes) {
  const Record among_three = Accuse(3, {2}, 0.66, 200, 60, 2, 100);
  EXPECT_GE(among_three.exact, 95);
  EXPECT_LE(among_three.wrong, 3);
  const Record by_few = Accuse(5, {1}, 0.5, 300, 100, 2, 100);  // 40 votes.
  EXPECT_GE(by_few.exact, 80);
  EXPECT_LE(by_few.wrong, 3);
}

TEST(AssessAnnotatorsTest, WhereNothingChangedFewAreNamed) {
  int named = 0;
  int assessed = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    World world(5, seed);
    world.Ask(250, 2);
    named += static_cast<int>(world.Worse(0.05).size());
    assessed += static_cast<int>(world.Assess().size());
  }
  EXPECT_EQ(assessed, 500);
  EXPECT_LE(named, 38);  // 25 expected at most; 38 is beyond 0.995 of Poisson's.
}

TEST(AssessAnnotatorsTest, AnnotatorsAloneOnTheirSamplesAreHeldAgainstKnownOnes) {
  World world(2, 1);
  world.Ask(500, 1);
  EXPECT_THAT(world.Assess(), IsEmpty());  // Nobody to compare with.
  world.AskKnown(0, 60);
  world.AskKnown(1, 60);
  world.SetError(1, 0.5);
  world.AskKnown(0, 30);
  world.AskKnown(1, 30);
  EXPECT_THAT(world.Worse(0.001), ElementsAre(1));
  const auto assessed = world.Assess();
  ASSERT_EQ(assessed.size(), 2U);
  EXPECT_EQ(assessed[0].recent_votes + assessed[0].earlier_votes, 90U);
}

TEST(AssessAnnotatorsTest, TheDatasOwnLabelsOutweighWhatOthersSay) {
  // Annotator 0 is the import; 1 and 2 agree with one another and not with it.
  std::vector<AnnotatorFacts> facts(3);
  facts[0].kind = AnnotatorKind::kImport;
  std::vector<CastAnswer> answers;
  for (std::int32_t sample = 0; sample < 200; ++sample) {
    const Timestamp at{std::chrono::seconds(sample)};
    answers.push_back({.sample = sample, .annotator = 0, .class_index = 0, .at = at});
    for (const std::int32_t who : {1, 2}) {
      const std::int32_t said = sample < 100 ? 0 : 1;
      answers.push_back({.sample = sample, .annotator = who, .class_index = said, .at = at});
    }
  }
  const auto assessed = AssessAnnotators(answers, facts, kClasses);
  ASSERT_EQ(assessed.size(), 2U);  // The import itself is not assessed.
  for (const auto& one : assessed) {
    EXPECT_EQ(one.recent_agreed, 0U);
    EXPECT_LT(one.p_value, 1e-9);
  }
}

TEST(AssessAnnotatorsTest, TooFewAnswersSayNothing) {
  World world(2, 1);
  world.Ask(59, 2);
  EXPECT_THAT(world.Assess(), IsEmpty());
  world.Ask(1, 2);
  EXPECT_EQ(world.Assess().size(), 2U);
  EXPECT_THAT(AssessAnnotators({}, {}, 2), IsEmpty());
}

TEST(AssessAnnotatorsTest, TheOrderInWhichAnswersAreGivenDoesNotMatter) {
  World world(5, 7);
  world.Ask(300, 3);
  world.SetError(4, 0.5);
  world.Ask(100, 3);
  const auto expected = world.Assess();
  EXPECT_FALSE(expected.empty());
  world.Shuffle();
  const auto again = world.Assess();
  ASSERT_EQ(again.size(), expected.size());
  for (std::size_t i = 0; i < again.size(); ++i) {
    EXPECT_EQ(again[i].p_value, expected[i].p_value);
    EXPECT_EQ(again[i].recent_agreed, expected[i].recent_agreed);
  }
}

}  // namespace
}  // namespace tidewheel::labeling
