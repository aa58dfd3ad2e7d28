// `tidewheel analyze` on public data: the figures of the libraries, through files and options.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "tidewheel/cli/testing/command_runner.h"

namespace tidewheel::cli {
namespace {

std::filesystem::path Data() {
  if (const char* folder = std::getenv("TIDEWHEEL_DATA")) return folder;
  return std::filesystem::path(std::getenv("TIDEWHEEL_SOURCE_DIR")) / "../shared/data";
}

class AnalyzeDataTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(Data())) GTEST_SKIP() << "no data at " << Data();
  }
  static std::string File(const std::string& name) {
    return std::filesystem::absolute(Data() / name).string();
  }

  CommandRunner runner_;
};

TEST_F(AnalyzeDataTest, CountsLabelErrorsAsTheStudyDoes) {
  const std::map<std::string, double> expected = {
      {"prune_by_noise_rate", 95}, {"prune_by_class", 96},        {"both", 47},
      {"confident_learning", 55},  {"low_normalized_margin", 55}, {"low_self_confidence", 55},
      {"predicted_neq_given", 577}};

  const auto found =
      runner_.Run({"analyze", "label-errors", File("label_errors/20news/pred_probs.npy"),
                   File("label_errors/20news/original_labels.npy"), "--json"});

  ASSERT_EQ(found.status, 0) << found.err;
  const auto json = found.Json();
  for (int i = 0; i < 7; ++i) {
    const std::string place = std::to_string(i);
    const auto name = TextAt(json, {"methods", place, "method"});
    ASSERT_EQ(expected.count(name), 1U) << name;
    EXPECT_EQ(NumberAt(json, {"methods", place, "issues"}), expected.at(name)) << name;
  }
}

TEST_F(AnalyzeDataTest, JudgesConsensusByTheTruth) {
  const auto found = runner_.Run({"analyze", "consensus", File("crowd/product/label.csv"),
                                  "--truth", File("crowd/product/truth.csv"), "--json"});

  ASSERT_EQ(found.status, 0) << found.err;
  const auto json = found.Json();
  EXPECT_NEAR(NumberAt(json, {"methods", "0", "accuracy"}), 0.8966, 5e-5);
  EXPECT_EQ(TextAt(json, {"chosen"}), "dawid-skene");
  EXPECT_NEAR(NumberAt(json, {"krippendorff_alpha"}), 0.1575, 5e-5);
}

TEST_F(AnalyzeDataTest, HearsEveryChangeOfTheFourSegments) {
  const auto found =
      runner_.Run({"analyze", "stream", File("drift_vectors/four_segments.csv"), "--json"});

  ASSERT_EQ(found.status, 0) << found.err;
  const auto json = found.Json();
  EXPECT_EQ(NumberAt(json, {"events", "0", "index"}), 1'023);
  EXPECT_EQ(NumberAt(json, {"events", "1", "index"}), 2'015);
  EXPECT_EQ(NumberAt(json, {"events", "2", "index"}), 3'007);
}

TEST_F(AnalyzeDataTest, EstimatesAndDoesNotTrustTheEstimates) {
  const std::string folder = "california_drift/california_housing_";
  const auto found = runner_.Run({"analyze", "estimate", File(folder + "reference.csv"),
                                  File(folder + "analysis.csv"), "--targets",
                                  File(folder + "analysis_gt.csv"), "--score", "y_pred_proba",
                                  "--predicted", "y_pred", "--target", "clf_target", "--json"});

  ASSERT_EQ(found.status, 0) << found.err;
  const auto json = found.Json();
  EXPECT_EQ(TextAt(json, {"chunks", "9", "chunk"}), "2022-03");
  EXPECT_NEAR(NumberAt(json, {"chunks", "9", "estimated"}), 0.829077, 1e-6);
  EXPECT_NEAR(NumberAt(json, {"chunks", "10", "estimated"}), 0.910661, 1e-6);
  EXPECT_NEAR(NumberAt(json, {"chunks", "9", "lower_limit"}), 0.708336, 1e-6);
  EXPECT_EQ(TextAt(json, {"audit", "verdict"}), "untrustworthy");
}

}  // namespace
}  // namespace tidewheel::cli
