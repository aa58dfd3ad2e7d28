#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "tidewheel/labels/label_error_choice.h"
#include "tidewheel/labels/label_errors.h"

namespace tidewheel::labels {
namespace {

std::string Text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The numbers of a .npy file of version 1, which are known to be little-endian and of type T.
template <typename T>
std::vector<T> Numbers(const std::filesystem::path& path) {
  const std::string text = Text(path);
  if (text.size() < 10) return {};
  const std::size_t header =
      10 + static_cast<unsigned char>(text[8]) + 256 * static_cast<unsigned char>(text[9]);
  std::vector<T> numbers((text.size() - header) / sizeof(T));
  std::memcpy(numbers.data(), text.data() + header, numbers.size() * sizeof(T));
  return numbers;
}

/// A test set's probabilities and labels, and which labels people refused.
struct CheckedLabels {
  std::vector<double> probabilities;
  std::vector<std::int32_t> labels;
  std::set<std::uint32_t> checked;
  std::set<std::uint32_t> wrong;

  MatrixView<double> View() const {
    return {probabilities, labels.size(), probabilities.size() / labels.size()};
  }
};

/// Empty where the data is not at hand.
CheckedLabels Load(const std::string& name) {
  const char* folder = std::getenv("TIDEWHEEL_DATA");
  const char* source = std::getenv("TIDEWHEEL_SOURCE_DIR");
  const std::filesystem::path data =
      (folder != nullptr
           ? folder
           : std::filesystem::path(source != nullptr ? source : ".") / "../shared/data") /
      std::filesystem::path("label_errors") / name;
  CheckedLabels set;
  set.probabilities = Numbers<double>(data / "pred_probs.npy");
  for (const std::uint16_t label : Numbers<std::uint16_t>(data / "original_labels.npy")) {
    set.labels.push_back(label);
  }
  // Records of "id": n, ..., "mturk": {"given": n, ...}; fewer than three of five votes is an
  // error.
  const std::string votes = Text(data / "mturk.json");
  const auto number_after = [&](const std::string& key, std::size_t& at) {
    at = votes.find(key, at);
    if (at == std::string::npos) return -1;
    at += key.size();
    return std::atoi(votes.c_str() + at);
  };
  for (std::size_t at = 0;;) {
    const int id = number_after("\"id\":", at);
    if (at == std::string::npos) break;
    set.checked.insert(static_cast<std::uint32_t>(id));
    if (number_after("\"given\":", at) < 3) set.wrong.insert(static_cast<std::uint32_t>(id));
  }
  return set;
}

struct TableRow {
  LabelErrorMethod method;
  std::size_t issues;
  std::size_t wrong;  // How many of them people refused too.
};

struct Table {
  const char* name;
  std::size_t examples, classes, checked, wrong;
  std::vector<TableRow> rows;
};

class LabelErrorsDataTest : public testing::TestWithParam<Table> {};

std::size_t CountWrong(const CheckedLabels& set, std::span<const std::uint32_t> rows) {
  return static_cast<std::size_t>(std::count_if(
      rows.begin(), rows.end(), [&](std::uint32_t row) { return set.wrong.contains(row); }));
}

TEST_P(LabelErrorsDataTest, ReproducesTheTableOfIssues) {
  const CheckedLabels set = Load(GetParam().name);
  if (set.labels.empty()) GTEST_SKIP() << "no data at TIDEWHEEL_DATA";
  ASSERT_EQ(set.labels.size(), GetParam().examples);
  ASSERT_EQ(set.View().columns, GetParam().classes);
  ASSERT_EQ(set.checked.size(), GetParam().checked);
  ASSERT_EQ(set.wrong.size(), GetParam().wrong);

  for (const VoteRule votes : {VoteRule::kLargestConfident, VoteRule::kLargestOfAll}) {
    const auto scan = LabelErrorScan<double>::Read(set.View(), set.labels, {.votes = votes});
    ASSERT_TRUE(scan) << scan.error().message;
    for (const TableRow& row : GetParam().rows) {
      const LabelIssues issues = scan->Find(row.method);
      EXPECT_EQ(issues.rows.size(), row.issues) << Name(row.method);
      EXPECT_EQ(CountWrong(set, issues.rows), row.wrong) << Name(row.method);
      EXPECT_EQ(issues.spared, 0U);
    }
  }
}

TEST_P(LabelErrorsDataTest, AValidatedSampleChoosesACutThatFindsNearlyAllErrors) {
  const CheckedLabels set = Load(GetParam().name);
  if (set.labels.empty()) GTEST_SKIP() << "no data at TIDEWHEEL_DATA";
  const auto scan = LabelErrorScan<double>::Read(set.View(), set.labels);
  ASSERT_TRUE(scan);
  const auto disagreeing = scan->Find(LabelErrorMethod::kPredictedNotGiven).rows;

  // Every third of the examples that any of the six methods can take; all of mnist's few.
  std::vector<std::uint32_t> rows;
  std::vector<std::uint8_t> wrong;
  for (std::size_t i = 0; i<disagreeing.size(); i += disagreeing.size()> 200 ? 3 : 1) {
    rows.push_back(disagreeing[i]);
    wrong.push_back(set.wrong.contains(disagreeing[i]) ? 1 : 0);
  }
  const auto choice =
      ChooseLabelErrors(*scan, {rows, wrong, {}}, {.budget = disagreeing.size(), .seed = 3});

  ASSERT_TRUE(choice) << choice.error().message;
  // Nearly all errors, which the default method would find half of.
  EXPECT_GE(static_cast<double>(CountWrong(set, choice->rows)),
            0.9 * static_cast<double>(GetParam().wrong));
  EXPECT_LE(choice->cut.take, disagreeing.size());
  const double truth =
      static_cast<double>(CountWrong(set, choice->rows)) / static_cast<double>(choice->rows.size());
  EXPECT_LE(choice->low, truth);
  EXPECT_GE(choice->high, truth);
}

using enum LabelErrorMethod;
INSTANTIATE_TEST_SUITE_P(TestSets, LabelErrorsDataTest,
                         testing::Values(Table{"mnist",
                                               10'000,
                                               10,
                                               100,
                                               15,
                                               {{kPruneByNoiseRate, 15, 7},
                                                {kPruneByClass, 15, 7},
                                                {kBoth, 15, 7},
                                                {kConfidentLearning, 15, 7},
                                                {kLowNormalizedMargin, 15, 6},
                                                {kLowSelfConfidence, 15, 6},
                                                {kPredictedNotGiven, 87, 15}}},
                                         Table{"20news",
                                               7'532,
                                               20,
                                               93,
                                               82,
                                               {{kPruneByNoiseRate, 95, 55},
                                                {kPruneByClass, 96, 39},
                                                {kBoth, 47, 32},
                                                {kConfidentLearning, 55, 40},
                                                {kLowNormalizedMargin, 55, 48},
                                                {kLowSelfConfidence, 55, 29},
                                                {kPredictedNotGiven, 577, 82}}}),
                         [](const auto& named) {
                           return std::string(*named.param.name == '2' ? "News" : "Mnist");
                         });

}  // namespace
}  // namespace tidewheel::labels
