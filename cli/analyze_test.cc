// `tidewheel analyze` on files made on the spot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/cli/testing/command_runner.h"

namespace tidewheel::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class AnalyzeTest : public ::testing::Test {
 protected:
  CommandOutcome Analyze(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "analyze");
    return runner_.Run(std::move(arguments));
  }

  /// A classifier of three classes that is sure and right, and `wrong` labels that are not.
  void WriteLabels(std::size_t rows, const std::vector<std::size_t>& wrong) {
    std::string probabilities = "a,b,c\n";
    std::string labels = "label\n";
    for (std::size_t i = 0; i < rows; ++i) {
      const std::size_t truth = i % 3;
      for (std::size_t k = 0; k < 3; ++k) {
        probabilities += k == truth ? "0.9" : "0.05";
        probabilities += k == 2 ? "\n" : ",";
      }
      const bool is_wrong = std::find(wrong.begin(), wrong.end(), i) != wrong.end();
      labels += std::to_string(is_wrong ? (truth + 1) % 3 : truth) + "\n";
    }
    runner_.Write("probs.csv", probabilities);
    runner_.Write("labels.csv", labels);
  }

  CommandRunner runner_;
};

TEST_F(AnalyzeTest, FindsThePlantedLabelErrors) {
  WriteLabels(90, {4, 40});

  const auto found = Analyze({"label-errors", "probs.csv", "labels.csv", "--json"});

  ASSERT_EQ(found.status, 0) << found.err;
  const auto json = found.Json();
  EXPECT_EQ(NumberAt(json, {"examples"}), 90);
  EXPECT_EQ(NumberAt(json, {"issues", "0", "row"}), 4);
  EXPECT_EQ(NumberAt(json, {"issues", "1", "row"}), 40);
  EXPECT_EQ(NumberAt(json, {"issues", "0", "suggested"}), 1);
  EXPECT_NEAR(NumberAt(json, {"error_rate", "rate"}), 2.0 / 90, 0.03);
  const auto drawn = Analyze({"label-errors", "probs.csv", "labels.csv"});
  EXPECT_THAT(drawn.out, HasSubstr("prune_by_noise_rate"));
  EXPECT_THAT(drawn.out, HasSubstr("█"));
}

TEST_F(AnalyzeTest, SaysWhatIsWrongWithProbabilitiesAndLabels) {
  WriteLabels(30, {});
  runner_.Write("short.csv", "label\n0\n1\n");
  runner_.Write(
      "beyond.csv", "label\n" + [] {
        std::string text;
        for (int i = 0; i < 30; ++i) text += i == 7 ? "9\n" : "0\n";
        return text;
      }());

  EXPECT_EQ(Analyze({"label-errors", "probs.csv", "short.csv"}).status, 1);
  const auto beyond = Analyze({"label-errors", "probs.csv", "beyond.csv"});
  EXPECT_EQ(beyond.status, 1);
  EXPECT_THAT(beyond.err, HasSubstr("INVALID_ARGUMENT"));
  EXPECT_THAT(beyond.err, HasSubstr("7"));
  const auto unknown = Analyze({"label-errors", "probs.csv", "labels.csv", "--method", "guess"});
  EXPECT_EQ(unknown.status, 1);
  EXPECT_THAT(unknown.err, HasSubstr("prune_by_noise_rate"));
  EXPECT_THAT(Analyze({"label-errors", "none.npy", "labels.csv"}).err, HasSubstr("none.npy"));
}

TEST_F(AnalyzeTest, MakesLabelsOfVotesAndTellsWhomItBelieved) {
  Random random(1);
  std::string votes = "item,worker,label\n";
  std::string truth = "item,truth\n";
  for (int item = 0; item < 60; ++item) {
    const bool red = random.Uniform() < 0.5;
    truth += std::to_string(item) + (red ? ",red\n" : ",green\n");
    for (int worker = 0; worker < 5; ++worker) {
      const bool right = random.Uniform() < (worker == 4 ? 0.1 : 0.9);
      votes += std::to_string(item) + ",w" + std::to_string(worker) +
               (right == red ? ",red\n" : ",green\n");
    }
  }
  runner_.Write("votes.csv", votes);
  runner_.Write("truth.csv", truth);

  const auto found =
      Analyze({"consensus", "votes.csv", "--truth", "truth.csv", "--out", "labels.csv", "--json"});

  ASSERT_EQ(found.status, 0) << found.err;
  const auto json = found.Json();
  EXPECT_EQ(TextAt(json, {"methods", "0", "name"}), "majority");
  EXPECT_EQ(NumberAt(json, {"workers"}), 5);
  EXPECT_EQ(TextAt(json, {"workers_by_quality", "0", "worker"}), "w4");
  EXPECT_THAT(TextAt(json, {"reason"}), HasSubstr("gold items"));
  const auto held_out = Analyze({"consensus", "votes.csv"});
  EXPECT_EQ(held_out.status, 0) << held_out.err;
  EXPECT_THAT(held_out.out, HasSubstr("<- taken"));
}

TEST_F(AnalyzeTest, JudgesLabelingFunctionsAndRefusesTwoOfThem) {
  Random random(2);
  std::string votes = "f1,f2,f3,gold\n";
  for (int row = 0; row < 400; ++row) {
    const int gold = random.Uniform() < 0.5 ? 1 : 0;
    for (int f = 0; f < 3; ++f) {
      const double draw = random.Uniform();
      votes += draw < 0.2 ? "-1," : std::to_string(draw < 0.85 ? gold : 1 - gold) + ",";
    }
    votes += std::to_string(gold) + "\n";
  }
  runner_.Write("votes.csv", votes);

  const auto found = Analyze({"label-functions", "votes.csv", "--gold", "gold", "--json"});

  ASSERT_EQ(found.status, 0) << found.err;
  const auto json = found.Json();
  EXPECT_NEAR(NumberAt(json, {"functions", "0", "coverage"}), 0.8, 0.07);
  EXPECT_NEAR(NumberAt(json, {"functions", "2", "accuracy"}), 0.81, 0.07);
  EXPECT_EQ(TextAt(json, {"models", "2", "name"}), "moments");
  EXPECT_GT(NumberAt(json, {"models", "2", "accuracy"}), 0.8);

  runner_.Write("two.csv", "f1,f2\n1,0\n0,0\n1,1\n0,1\n");
  const auto two = Analyze({"label-functions", "two.csv"});
  EXPECT_EQ(two.status, 0) << two.err;
  EXPECT_THAT(two.out, HasSubstr("not applicable, because"));
}

TEST_F(AnalyzeTest, TellsWhichColumnDrifted) {
  Random random(3);
  std::string reference = "same,moved,kind,flat\n";
  std::string current = reference;
  for (int row = 0; row < 500; ++row) {
    reference += std::to_string(random.Normal()) + "," + std::to_string(random.Normal()) +
                 (random.Uniform() < 0.5 ? ",a,1\n" : ",b,1\n");
    current += std::to_string(random.Normal()) + "," + std::to_string(random.Normal() + 1) +
               (random.Uniform() < 0.5 ? ",a,1\n" : ",b,1\n");
  }
  runner_.Write("reference.csv", reference);
  runner_.Write("current.csv", current);

  const auto found = Analyze({"drift", "reference.csv", "current.csv", "--json"});

  ASSERT_EQ(found.status, 0) << found.err;
  const auto json = found.Json();
  EXPECT_EQ(NumberAt(json, {"drifted"}), 1);
  EXPECT_EQ(NumberAt(json, {"not_applicable"}), 1);
  EXPECT_GT(NumberAt(json, {"columns", "1", "effect"}), 0.3);
  EXPECT_EQ(TextAt(json, {"columns", "2", "kind"}), "categorical");
  EXPECT_THAT(TextAt(json, {"columns", "3", "problem"}), HasSubstr("not applicable, because"));
  const auto drawn = Analyze({"drift", "reference.csv", "current.csv", "--together"});
  EXPECT_THAT(drawn.out, HasSubstr("DRIFTED"));
  EXPECT_THAT(drawn.out, HasSubstr("All numbers together"));
}

TEST_F(AnalyzeTest, AColumnThatTurnsIntoTextIsAnError) {
  runner_.Write("reference.csv", "x\n1\n2\n3\n");
  runner_.Write("current.csv", "x\n1\noops\n3\n");

  const auto found = Analyze({"drift", "reference.csv", "current.csv"});

  EXPECT_EQ(found.status, 1);
  EXPECT_THAT(found.err, HasSubstr("oops"));
}

TEST_F(AnalyzeTest, HearsAChangeInAStreamAndKeepsToABudget) {
  Random random(4);
  std::string errors = "error\n";
  for (int i = 0; i < 4'000; ++i) {
    errors += random.Uniform() < (i < 2'000 ? 0.1 : 0.4) ? "1\n" : "0\n";
  }
  runner_.Write("errors.csv", errors);

  const auto plain = Analyze({"stream", "errors.csv", "--json"});
  ASSERT_EQ(plain.status, 0) << plain.err;
  EXPECT_EQ(NumberAt(plain.Json(), {"drifts"}), 1);
  EXPECT_NEAR(NumberAt(plain.Json(), {"events", "0", "index"}), 2'100, 100);

  const auto calibrated =
      Analyze({"stream", "errors.csv", "--detector", "page_hinkley", "--reference", "1500",
               "--days", "10", "--per-day", "500", "--json"});
  ASSERT_EQ(calibrated.status, 0) << calibrated.err;
  EXPECT_EQ(NumberAt(calibrated.Json(), {"calibration", "values_per_alarm"}), 5'000);
  EXPECT_LE(NumberAt(calibrated.Json(), {"calibration", "per_budget"}), 1);
  EXPECT_GE(NumberAt(calibrated.Json(), {"drifts"}), 1);

  EXPECT_THAT(Analyze({"stream", "errors.csv", "--days", "10", "--per-day", "5"}).err,
              HasSubstr("--reference"));
  EXPECT_THAT(Analyze({"stream", "errors.csv", "--detector", "oracle"}).err, HasSubstr("adwin"));
}

TEST_F(AnalyzeTest, ExpectsPerformanceBeforeTheLabelsCome) {
  Random random(5);
  const auto rows = [&](int months, bool labels) {
    std::string text = labels ? "timestamp,score,predicted,label\n" : "timestamp,score,predicted\n";
    for (int month = 1; month <= months; ++month) {
      for (int i = 0; i < 200; ++i) {
        const double score = random.Uniform();
        text += "2026-0" + std::to_string(month) + "-11," + std::to_string(score) +
                (score > 0.5 ? ",1" : ",0");
        if (labels) text += random.Uniform() < score ? ",1" : ",0";
        text += "\n";
      }
    }
    return text;
  };
  runner_.Write("reference.csv", rows(6, true));
  runner_.Write("current.csv", rows(3, false));

  const auto found =
      Analyze({"estimate", "reference.csv", "current.csv", "--metric", "accuracy", "--json"});

  ASSERT_EQ(found.status, 0) << found.err;
  const auto json = found.Json();
  EXPECT_EQ(TextAt(json, {"chunks", "2", "chunk"}), "2026-03");
  EXPECT_NEAR(NumberAt(json, {"chunks", "0", "estimated"}), 0.75, 0.05);
  EXPECT_THAT(Analyze({"estimate", "reference.csv", "current.csv", "--metric", "luck"}).err,
              HasSubstr("roc_auc"));
  EXPECT_THAT(Analyze({"estimate", "reference.csv", "current.csv", "--chunk", "moon"}).err,
              HasSubstr("moon"));
}

TEST_F(AnalyzeTest, ExpectsPerformanceOfThreeClasses) {
  Random random(15);
  const auto rows = [&](bool labels) {
    std::string text = labels ? "a,b,c,predicted,label\n" : "a,b,c,predicted\n";
    for (int i = 0; i < 3'000; ++i) {
      // The answer is right seven times in ten, and says so.
      const int answer = i % 3;
      for (int k = 0; k < 3; ++k) text += k == answer ? "0.7," : "0.15,";
      text += std::to_string(answer);
      if (labels) {
        const double u = random.Uniform();
        text += "," + std::to_string(u < 0.7    ? answer
                                     : u < 0.85 ? (answer + 1) % 3
                                                : (answer + 2) % 3);
      }
      text += "\n";
    }
    return text;
  };
  runner_.Write("reference.csv", rows(true));
  runner_.Write("current.csv", rows(false));

  const auto found = Analyze({"estimate", "reference.csv", "current.csv", "--metric", "accuracy",
                              "--score", "a,b,c", "--chunk", "1000", "--json"});

  ASSERT_EQ(found.status, 0) << found.err;
  EXPECT_NEAR(NumberAt(found.Json(), {"chunks", "2", "estimated"}), 0.7, 0.05);
  runner_.Write("wrong.csv", "a,b,c,predicted\n0.7,0.15,0.15,3\n");
  EXPECT_THAT(Analyze({"estimate", "reference.csv", "wrong.csv", "--metric", "accuracy", "--score",
                       "a,b,c", "--chunk", "1000"})
                  .err,
              HasSubstr("a class of 0 to 2"));
}

TEST_F(AnalyzeTest, EstimatesTheLossOfARegression) {
  Random random(6);
  const auto rows = [&](bool far) {
    std::string text = "x,predicted,label\n";
    for (int i = 0; i < 4'000; ++i) {
      const double x = random.Uniform() * (far ? 2 : 1);
      text += std::to_string(x) + ",1," + std::to_string(1 + x * random.Normal()) + "\n";
    }
    return text;
  };
  runner_.Write("reference.csv", rows(true));
  runner_.Write("current.csv", rows(false));

  const auto found =
      Analyze({"estimate", "reference.csv", "current.csv", "--metric", "mean_absolute_error",
               "--features", "x", "--chunk", "1000", "--json"});

  ASSERT_EQ(found.status, 0) << found.err;
  // E|x z| is half the largest x times sqrt(2 / pi).
  EXPECT_NEAR(NumberAt(found.Json(), {"chunks", "1", "estimated"}), 0.4, 0.12);
}

TEST_F(AnalyzeTest, ComparesTwoModelsByIdAndSlice) {
  Random random(7);
  std::string baseline = "id,label,predicted,site\n";
  std::vector<std::string> rows;
  for (int i = 0; i < 1'500; ++i) {
    const bool truth = random.Uniform() < 0.5;
    const bool first = random.Uniform() < 0.95 ? truth : !truth;
    const bool second = random.Uniform() < 0.75 ? truth : !truth;
    const std::string start = std::to_string(i) + (truth ? ",yes" : ",no");
    baseline += start + (first ? ",yes" : ",no") + (i % 2 == 0 ? ",north\n" : ",south\n");
    rows.push_back(start + (second ? ",yes\n" : ",no\n"));
  }
  std::string candidate = "id,label,predicted\n";
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) candidate += *row;
  runner_.Write("baseline.csv", baseline);
  runner_.Write("candidate.csv", candidate);

  const auto found = Analyze(
      {"compare", "baseline.csv", "candidate.csv", "--id", "id", "--slice", "site", "--json"});

  EXPECT_EQ(found.status, 3) << found.err;
  const auto json = found.Json();
  EXPECT_EQ(TextAt(json, {"overall", "answer"}), "fail");
  EXPECT_NEAR(NumberAt(json, {"overall", "difference"}), -0.2, 0.05);
  EXPECT_EQ(TextAt(json, {"slices", "1", "name"}), "south");
  EXPECT_EQ(TextAt(json, {"sequential", "answer"}), "fail");
  EXPECT_LT(NumberAt(json, {"sequential", "decided_at"}), 1'000);
  EXPECT_EQ(Analyze({"compare", "baseline.csv", "baseline.csv"}).status, 0);

  runner_.Write("less.csv", "id,label,predicted\n0,yes,yes\n");
  EXPECT_THAT(Analyze({"compare", "baseline.csv", "less.csv", "--id", "id"}).err,
              HasSubstr("row 1"));
}

TEST_F(AnalyzeTest, QueuesTheUncertainWithARandomControl) {
  std::string probabilities = "a,b\n";
  for (int i = 0; i < 100; ++i) probabilities += i < 10 ? "0.5,0.5\n" : "0.99,0.01\n";
  runner_.Write("probs.csv", probabilities);

  const auto found =
      Analyze({"acquisition", "probs.csv", "--budget", "20", "--control", "0.25", "--json"});

  ASSERT_EQ(found.status, 0) << found.err;
  const auto json = found.Json();
  EXPECT_EQ(NumberAt(json, {"queued"}), 20);
  EXPECT_EQ(NumberAt(json, {"control"}), 5);
  EXPECT_THAT(found.out, HasSubstr("random control"));
  EXPECT_THAT(found.out, HasSubstr("0.05"));  // Five of a hundred, each equally likely.
}

TEST_F(AnalyzeTest, FindsWhatLeaksAndNamesWhatItDidNotCheck) {
  std::string table = "split,label,group,copy,noise\n";
  Random random(8);
  for (int i = 0; i < 200; ++i) {
    const int label = static_cast<int>(random.Below(2));
    table += std::string(i < 150 ? "training" : "test") + "," + std::to_string(label) + ",g" +
             std::to_string(i % 60) + "," + std::to_string(label * 10) + "," +
             std::to_string(random.Uniform()) + "\n";
  }
  runner_.Write("table.csv", table);

  const auto found =
      Analyze({"leakage", "table.csv", "--label", "label", "--group", "group", "--json"});

  EXPECT_EQ(found.status, 3) << found.err;
  EXPECT_THAT(found.out, HasSubstr("copy"));
  EXPECT_GT(NumberAt(found.Json(), {"groups", "groups_across"}), 0);
  EXPECT_THAT(found.out, HasSubstr("perceptual hashes"));
  runner_.Write("bad.csv", "split\ntraining\nsomewhere\n");
  EXPECT_THAT(Analyze({"leakage", "bad.csv"}).err, HasSubstr("somewhere"));
}

TEST_F(AnalyzeTest, FindsTheWeakSliceAndTheRareClass) {
  Random random(9);
  std::string table = "label,predicted,place,light\n";
  for (int i = 0; i < 1'200; ++i) {
    const bool dark = random.Uniform() < 0.5;
    const bool truth = random.Uniform() < 0.1;
    const bool right = random.Uniform() < (dark ? 0.7 : 0.97);
    table += std::string(truth ? "rare," : "usual,") + (truth == right ? "rare," : "usual,") +
             (random.Uniform() < 0.5 ? "here," : "there,") + (dark ? "night\n" : "day\n");
  }
  runner_.Write("table.csv", table);

  const auto slices = Analyze({"slices", "table.csv", "--columns", "place,light", "--json"});
  ASSERT_EQ(slices.status, 0) << slices.err;
  EXPECT_THAT(TextAt(slices.Json(), {"slices", "0", "definition"}), HasSubstr("night"));

  const auto balance = Analyze({"balance", "table.csv", "--predicted", "predicted", "--json"});
  ASSERT_EQ(balance.status, 0) << balance.err;
  EXPECT_GT(NumberAt(balance.Json(), {"imbalance"}), 5);
  EXPECT_EQ(TextAt(balance.Json(), {"classes", "0", "name"}), "rare");
  EXPECT_GT(NumberAt(balance.Json(), {"classes", "0", "inverse_frequency_weight"}), 3);
  EXPECT_THAT(Analyze({"balance", "table.csv", "--predicted", "predicted"}).out,
              HasSubstr("always the commonest class"));
}

TEST_F(AnalyzeTest, NeedsNoPlatform) {
  WriteLabels(30, {});
  const auto found = Analyze({"label-errors", "probs.csv", "labels.csv"});
  EXPECT_EQ(found.status, 0) << found.err;
  EXPECT_THAT(found.err, Not(HasSubstr("platform")));
}

}  // namespace
}  // namespace tidewheel::cli
