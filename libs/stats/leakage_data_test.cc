#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "tidewheel/blob/sha256.h"
#include "tidewheel/stats/leakage.h"
#include "tidewheel/vision/decode.h"
#include "tidewheel/vision/difference_hash.h"
#include "tidewheel/vision/testing/real_pictures.h"

namespace tidewheel::stats {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class PublicDataTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto folder = vision::testing::FindDataFolder();
    if (!folder) GTEST_SKIP() << "no data folder; set TIDEWHEEL_DATA";
    folder_ = *folder;
  }

  std::vector<std::string> Lines(const std::string& file) const {
    std::vector<std::string> lines;
    std::ifstream stream(folder_ / file);
    for (std::string line; std::getline(stream, line);) {
      if (!line.empty()) lines.push_back(line);
    }
    return lines;
  }

  static std::vector<Digest> Digests(const std::vector<std::string>& lines) {
    std::vector<Digest> digests;
    for (const std::string& line : lines) digests.push_back(blob::Sha256(line));
    return digests;
  }

  static std::uint64_t Repeated(const std::vector<std::string>& lines) {
    const std::vector<Split> splits(lines.size(), Split::kTraining);
    return FindExactDuplicates(Digests(lines), splits)->repeated_rows;
  }

  std::filesystem::path folder_;
};

TEST_F(PublicDataTest, TrafficLightsHave26PairsWithinSixBitsAndNineOfThemLeak) {
  const auto pictures = vision::testing::TrafficLights(folder_);
  ASSERT_TRUE(pictures.ok()) << pictures.error().message;
  std::vector<Split> splits;
  std::vector<Digest> digests;
  std::vector<Bits128> hashes;
  for (const auto& picture : *pictures) {
    const auto image = vision::Decode(picture.bytes);
    ASSERT_TRUE(image.ok());
    const vision::Hash128 hash = vision::DifferenceHash(*image);
    hashes.push_back({hash.high, hash.low});
    digests.push_back(blob::Sha256(picture.bytes));
    splits.push_back(picture.split == "test" ? Split::kTest : Split::kTraining);
  }

  const auto report =
      ReportLeakage({.splits = splits, .digests = digests, .hashes = hashes}, {.near_distance = 6});

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->exact->pairs, 0U);
  EXPECT_EQ(report->near->pairs, 26U);
  EXPECT_EQ(report->near->pairs_across, 9U);
  EXPECT_THAT(report->near->examples, SizeIs(9));
  EXPECT_THAT(report->findings, SizeIs(1));
  for (const RowPair& pair : report->near->examples) {
    EXPECT_EQ((*pictures)[pair.first].label, (*pictures)[pair.second].label);
  }
}

TEST_F(PublicDataTest, RepeatedRowsAreThoseCountedInTheDescriptionOfTheData) {
  EXPECT_EQ(Repeated(Lines("adult/adult-train.csv")), 24U);
  EXPECT_EQ(Repeated(Lines("adult/adult-test.csv")), 5U);
  EXPECT_EQ(Repeated(Lines("small_tables/iris.csv")), 3U);
  EXPECT_EQ(Repeated(Lines("small_tables/wine-quality-red.csv")), 240U);
  EXPECT_EQ(Repeated(Lines("sms_spam/SMSSpamCollection.tsv")), 403U);
}

/// The fields of adult without the income, which is written another way in the test file.
std::vector<std::string> Fields(const std::string& line) {
  std::vector<std::string> fields;
  std::size_t begin = 0;
  for (std::size_t end = line.find(", "); end != std::string::npos; end = line.find(", ", begin)) {
    fields.push_back(line.substr(begin, end - begin));
    begin = end + 2;
  }
  fields.push_back(line.substr(begin));
  return fields;
}

TEST_F(PublicDataTest, AdultLeaks26FeatureVectorsAndNoColumnThatTellsTheIncome) {
  const auto training = Lines("adult/adult-train.csv");
  const auto test = Lines("adult/adult-test.csv");
  const char* names[] = {"age",
                         "workclass",
                         "fnlwgt",
                         "education",
                         "education-num",
                         "marital-status",
                         "occupation",
                         "relationship",
                         "race",
                         "sex",
                         "capital-gain",
                         "capital-loss",
                         "hours-per-week",
                         "native-country"};
  std::vector<Split> splits;
  std::vector<std::string> vectors;
  std::vector<std::int32_t> labels;
  std::vector<std::vector<double>> numeric(14);
  std::vector<std::vector<std::int32_t>> nominal(14);
  std::vector<std::map<std::string, std::int32_t>> codes(14);
  const auto is_number = [](std::size_t c) {
    return c == 0 || c == 2 || c == 4 || (c >= 10 && c <= 12);
  };
  for (const auto* lines : {&training, &test}) {
    for (const std::string& line : *lines) {
      const auto fields = Fields(line);
      ASSERT_EQ(fields.size(), 15U);
      splits.push_back(lines == &test ? Split::kTest : Split::kTraining);
      vectors.push_back(line.substr(0, line.rfind(", ")));
      labels.push_back(fields[14].starts_with(">50K") ? 1 : 0);
      for (std::size_t c = 0; c < 14; ++c) {
        if (is_number(c)) {
          numeric[c].push_back(std::stod(fields[c]));
        } else {
          nominal[c].push_back(codes[c]
                                   .emplace(fields[c], static_cast<std::int32_t>(codes[c].size()))
                                   .first->second);
        }
      }
    }
  }
  std::vector<FeatureColumn> features;
  for (std::size_t c = 0; c < 14; ++c) features.push_back({names[c], numeric[c], nominal[c]});

  const auto report = ReportLeakage({.splits = splits,
                                     .digests = Digests(vectors),
                                     .features = features,
                                     .labels = labels,
                                     .classes = 2});

  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report->exact->examples, SizeIs(26));
  EXPECT_THAT(report->findings, SizeIs(1)) << "a column of adult was taken for a leak";
  ASSERT_THAT(report->features, SizeIs(14));
  for (const FeatureReport& feature : report->features) {
    EXPECT_LT(feature.power->score, 0.3) << feature.name;
    EXPECT_FALSE(feature.identifier.is_identifier) << feature.name;
  }
  // Capital gains tell something, the survey's weight of a person nothing.
  EXPECT_GT(report->features[10].power->score, 0.1);
  EXPECT_LT(report->features[2].power->score, 0.02);
}

TEST_F(PublicDataTest, APetalTellsTheIrisAndASepalDoesNot) {
  std::vector<std::vector<double>> columns(4);
  std::vector<std::int32_t> labels;
  std::map<std::string, std::int32_t> codes;
  for (const std::string& line : Lines("small_tables/iris.csv")) {
    std::size_t begin = 0;
    for (auto& column : columns) {
      const std::size_t end = line.find(',', begin);
      column.push_back(std::stod(line.substr(begin, end - begin)));
      begin = end + 1;
    }
    labels.push_back(
        codes.emplace(line.substr(begin), static_cast<std::int32_t>(codes.size())).first->second);
  }
  const std::vector<FeatureColumn> features = {{"sepal length", columns[0], {}},
                                               {"sepal width", columns[1], {}},
                                               {"petal length", columns[2], {}},
                                               {"petal width", columns[3], {}}};
  const std::vector<Split> splits(labels.size(), Split::kTraining);

  const auto report =
      ReportLeakage({.splits = splits, .features = features, .labels = labels, .classes = 3});

  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report->findings, SizeIs(2));
  EXPECT_THAT(report->findings, Contains(HasSubstr("petal length")));
  EXPECT_THAT(report->findings, Contains(HasSubstr("petal width")));
}

}  // namespace
}  // namespace tidewheel::stats
