#include "tidewheel/labels/label_errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <tuple>

#include "tidewheel/labels/testing/random_labels.h"

namespace tidewheel::labels {
namespace {

using ::testing::ElementsAre;
using testing::LabeledRows;
using testing::RandomLabels;
using testing::RandomLabelsOptions;
using enum LabelErrorMethod;

using Rows = std::vector<std::uint32_t>;

template <typename T>
LabelErrorScan<T> Scan(const LabeledRows<T>& rows, const ScanOptions& options = {}) {
  auto scan = LabelErrorScan<T>::Read(rows.View(), rows.labels, options);
  EXPECT_TRUE(scan) << scan.error().message;
  return *scan;
}

// ---- The definitions once more, as directly as can be. ----

/// A row's vote, -1 for none.
std::int32_t NaiveVote(std::span<const double> row, std::span<const double> thresholds,
                       VoteRule rule) {
  std::int32_t best = -1;
  std::int32_t largest = 0;
  int reached = 0;
  for (std::int32_t k = 0; k < std::ssize(row); ++k) {
    const auto at = static_cast<std::size_t>(k);
    if (row[at] > row[static_cast<std::size_t>(largest)]) largest = k;
    if (row[at] < thresholds[at] - 1e-6) continue;
    ++reached;
    if (best < 0 || row[at] > row[static_cast<std::size_t>(best)]) best = k;
  }
  return rule == VoteRule::kLargestOfAll && reached > 1 ? largest : best;
}

struct Naive {
  std::vector<double> thresholds;
  std::vector<std::int32_t> votes;
  std::vector<std::vector<double>> counts;  // Confident, diagonal raised to 1.
  std::vector<std::vector<double>> expected;
};

Naive CountNaively(LabeledRows<double>& rows, VoteRule rule) {
  const std::size_t classes = rows.classes;
  Naive naive;
  std::vector<double> examples(classes);
  naive.thresholds.resize(classes);
  for (std::size_t i = 0; i < rows.labels.size(); ++i) {
    const auto label = static_cast<std::size_t>(rows.labels[i]);
    naive.thresholds[label] += rows.Row(i)[label];
    ++examples[label];
  }
  for (std::size_t k = 0; k < classes; ++k) {
    naive.thresholds[k] = examples[k] > 0 ? std::max(naive.thresholds[k] / examples[k], 2e-6) : 2.0;
  }
  naive.counts.assign(classes, std::vector<double>(classes));
  for (std::size_t i = 0; i < rows.labels.size(); ++i) {
    naive.votes.push_back(NaiveVote(rows.Row(i), naive.thresholds, rule));
    if (naive.votes[i] < 0) continue;
    ++naive.counts[static_cast<std::size_t>(rows.labels[i])]
                  [static_cast<std::size_t>(naive.votes[i])];
  }
  for (std::size_t k = 0; k < classes; ++k) {
    naive.counts[k][k] = std::max(naive.counts[k][k], 1.0);
  }
  naive.expected = naive.counts;
  for (std::size_t k = 0; k < classes; ++k) {
    const double sum = std::accumulate(naive.counts[k].begin(), naive.counts[k].end(), 0.0);
    for (double& cell : naive.expected[k]) cell *= examples[k] / sum;
  }
  return naive;
}

/// Whether the model's answer is another class, with 1e-6 in favour of the label.
bool NaivelyDisagrees(std::span<const double> row, std::int32_t label) {
  std::vector<double> raised(row.begin(), row.end());
  raised[static_cast<std::size_t>(label)] += 1e-6;
  return std::max_element(raised.begin(), raised.end()) - raised.begin() != label;
}

double NaiveRunnerUp(std::span<const double> row) {
  std::vector<double> sorted(row.begin(), row.end());
  std::sort(sorted.rbegin(), sorted.rend());
  return sorted[1];
}

/// The rows of the `count` lowest keys.
std::set<std::uint32_t> NaivelyLowest(LabeledRows<double>& rows,
                                      std::vector<std::pair<double, std::uint32_t>> items,
                                      std::size_t count) {
  std::vector<std::tuple<double, double, std::uint32_t>> order;
  for (const auto& [key, row] : items) order.emplace_back(key, NaiveRunnerUp(rows.Row(row)), row);
  std::sort(order.begin(), order.end());
  std::set<std::uint32_t> found;
  for (std::size_t i = 0; i < std::min(count, order.size()); ++i) {
    found.insert(std::get<2>(order[i]));
  }
  return found;
}

/// The issues of a method, without giving classes back what they must keep; the calibrated counts
/// are the scan's.
Rows FindNaively(LabeledRows<double>& rows, const Naive& naive, const ConfidentJoint& joint,
                 LabelErrorMethod method, std::uint64_t keep) {
  const auto examples = static_cast<std::uint32_t>(rows.labels.size());
  const auto given = [&](std::uint32_t i) {
    return rows.Row(i)[static_cast<std::size_t>(rows.labels[i])];
  };
  std::set<std::uint32_t> disagrees;
  std::set<std::uint32_t> off_diagonal;
  for (std::uint32_t i = 0; i < examples; ++i) {
    if (!NaivelyDisagrees(rows.Row(i), rows.labels[i])) continue;
    disagrees.insert(i);
    if (naive.votes[i] >= 0 && naive.votes[i] != rows.labels[i]) off_diagonal.insert(i);
  }
  const auto both = [](const std::set<std::uint32_t>& a, const std::set<std::uint32_t>& b) {
    Rows found;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(found));
    return found;
  };
  std::vector<std::pair<double, std::uint32_t>> items;
  switch (method) {
    case kPredictedNotGiven:
      return {disagrees.begin(), disagrees.end()};
    case kConfidentLearning:
      return {off_diagonal.begin(), off_diagonal.end()};
    case kLowSelfConfidence: {
      for (std::uint32_t i = 0; i < examples; ++i) items.emplace_back(given(i), i);
      const auto found = NaivelyLowest(rows, items, off_diagonal.size());
      return {found.begin(), found.end()};
    }
    case kLowNormalizedMargin: {
      for (std::uint32_t i = 0; i < examples; ++i) {
        double other = 0;
        for (std::size_t k = 0; k < rows.classes; ++k) {
          if (static_cast<std::int32_t>(k) != rows.labels[i])
            other = std::max(other, rows.Row(i)[k]);
        }
        items.emplace_back((given(i) - other + 1) / 2, i);
      }
      const auto found = NaivelyLowest(rows, items, off_diagonal.size());
      return {found.begin(), found.end()};
    }
    case kBoth: {
      const Rows one = FindNaively(rows, naive, joint, kPruneByNoiseRate, keep);
      const Rows other = FindNaively(rows, naive, joint, kPruneByClass, keep);
      return both({one.begin(), one.end()}, {other.begin(), other.end()});
    }
    case kPruneByNoiseRate:
    case kPruneByClass:
      break;
  }
  const PruneCounts counts = CountsToPrune(joint, keep);
  std::set<std::uint32_t> pruned;
  for (std::size_t k = 0; k < rows.classes; ++k) {
    if (joint.class_counts[k] <= keep) continue;
    const auto of_class = [&](const auto& key) {
      items.clear();
      for (std::uint32_t i = 0; i < examples; ++i) {
        if (rows.labels[i] == static_cast<std::int32_t>(k)) items.emplace_back(key(i), i);
      }
      return items;
    };
    if (method == kPruneByClass) {
      if (joint.class_counts[k] <= counts.kept[k]) continue;
      pruned.merge(NaivelyLowest(rows, of_class(given), joint.class_counts[k] - counts.kept[k]));
      continue;
    }
    for (std::size_t c = joint.row_begin[k]; c < joint.row_begin[k + 1]; ++c) {
      const auto voted = static_cast<std::size_t>(joint.cells[c].voted);
      const auto margin = [&](std::uint32_t i) { return -(rows.Row(i)[voted] - given(i)); };
      pruned.merge(NaivelyLowest(rows, of_class(margin), counts.removed[c]));
    }
  }
  return both(pruned, disagrees);
}

struct Shape {
  std::size_t rows, classes;
  RandomLabelsOptions options;
};

/// Short and long rows of every remainder, much and little noise, ties and empty classes.
std::vector<Shape> Shapes() {
  std::vector<Shape> shapes;
  for (const std::size_t classes : {2, 3, 5, 8, 9, 15, 16, 17, 24, 33, 50}) {
    shapes.push_back({60 + 11 * classes, classes, {}});
    shapes.push_back({60 + 7 * classes, classes, {.label_noise = 0.5, .least_confidence = 0}});
    shapes.push_back({60 + 9 * classes, classes, {.model_noise = 0.02, .least_confidence = 0.8}});
    shapes.push_back({80 + 5 * classes, classes, {.steps = 8}});
    shapes.push_back({40 + 3 * classes, classes, {.steps = 4, .empty_classes = classes / 3}});
  }
  return shapes;
}

TEST(LabelErrorScanTest, AgreesWithTheDefinitionsOnEveryShape) {
  std::size_t issues = 0;
  for (const Shape& shape : Shapes()) {
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      auto rows = RandomLabels<double>(seed, shape.rows, shape.classes, shape.options);
      for (const VoteRule rule : {VoteRule::kLargestConfident, VoteRule::kLargestOfAll}) {
        const auto scan = Scan(rows, {.votes = rule});
        const Naive naive = CountNaively(rows, rule);

        const ConfidentJoint& joint = scan.joint();
        for (std::size_t k = 0; k < shape.classes; ++k) {
          ASSERT_NEAR(joint.thresholds[k], naive.thresholds[k], 1e-14);
          double confident = 0;
          for (const JointCell& cell : joint.Row(k)) {
            const auto voted = static_cast<std::size_t>(cell.voted);
            ASSERT_EQ(static_cast<double>(cell.confident), naive.counts[k][voted]);
            ASSERT_NEAR(cell.expected, naive.expected[k][voted], 1e-9);
            confident += static_cast<double>(cell.confident);
          }
          ASSERT_EQ(confident,
                    std::accumulate(naive.counts[k].begin(), naive.counts[k].end(), 0.0));
        }
        EXPECT_EQ(joint.undecided,
                  static_cast<std::size_t>(std::count(naive.votes.begin(), naive.votes.end(), -1)));
        for (const LabelErrorMethod method : kLabelErrorMethods) {
          for (const std::uint64_t keep : {0, 2}) {
            // What classes get back is another test's.
            const LabelIssues found = scan.Find(method, {.keep_per_class = keep});
            if (found.spared > 0) continue;
            ASSERT_EQ(found.rows, FindNaively(rows, naive, joint, method, keep))
                << Name(method) << " of " << shape.rows << " x " << shape.classes << ", seed "
                << seed << ", keep " << keep;
            issues += found.rows.size();
          }
        }
      }
    }
  }
  EXPECT_GT(issues, 10'000U);
}

TEST(LabelErrorScanTest, NumbersOfBothPrecisionsAreReadAlike) {
  for (const Shape& shape : Shapes()) {
    const auto narrow = RandomLabels<float>(7, shape.rows, shape.classes, shape.options);
    LabeledRows<double> wide{shape.classes,
                             {narrow.probabilities.begin(), narrow.probabilities.end()},
                             narrow.labels,
                             narrow.wrong};

    const auto one = Scan(narrow);
    const auto other = Scan(wide);

    EXPECT_EQ(one.joint().thresholds, other.joint().thresholds);
    for (const LabelErrorMethod method : kLabelErrorMethods) {
      const Rows found = one.Find(method).rows;
      EXPECT_EQ(found, other.Find(method).rows) << Name(method);
      for (const LabelScore score : {LabelScore::kSelfConfidence, LabelScore::kNormalizedMargin,
                                     LabelScore::kConfidenceWeightedEntropy}) {
        EXPECT_EQ(one.Rank(found, score).rows, other.Rank(found, score).rows);
      }
    }
  }
}

TEST(LabelErrorScanTest, JointSumsToTheExamplesAndRowsToTheirClass) {
  for (const Shape& shape : Shapes()) {
    for (std::uint64_t seed = 10; seed < 16; ++seed) {
      const auto rows = RandomLabels<double>(seed, shape.rows, shape.classes, shape.options);

      const auto scan = Scan(rows);

      std::uint64_t all = 0;
      for (std::size_t k = 0; k < shape.classes; ++k) {
        std::uint64_t sum = 0;
        double expected = 0;
        for (const JointCell& cell : scan.joint().Row(k)) {
          sum += cell.calibrated;
          expected += cell.expected;
          EXPECT_LE(std::abs(static_cast<double>(cell.calibrated) - cell.expected), 1 + 1e-9);
        }
        EXPECT_EQ(sum, static_cast<std::uint64_t>(std::count(rows.labels.begin(), rows.labels.end(),
                                                             static_cast<std::int32_t>(k))));
        EXPECT_NEAR(expected, static_cast<double>(sum), 1e-9);
        all += sum;
      }
      EXPECT_EQ(all, shape.rows);
    }
  }
}

TEST(LabelErrorScanTest, OrderOfExamplesDoesNotMatter) {
  for (const Shape& shape : Shapes()) {
    // Without ties, of which the earlier row would come first.
    if (shape.options.steps > 0) continue;
    auto rows = RandomLabels<double>(3, shape.rows, shape.classes, shape.options);
    const auto order = testing::RandomOrder(4, shape.rows);
    const auto shuffled = Reordered(rows, order);

    const auto one = Scan(rows);
    const auto other = Scan(shuffled);

    EXPECT_EQ(one.joint().thresholds, other.joint().thresholds);
    ASSERT_EQ(one.joint().cells.size(), other.joint().cells.size());
    for (std::size_t c = 0; c < one.joint().cells.size(); ++c) {
      EXPECT_EQ(one.joint().cells[c].confident, other.joint().cells[c].confident);
      EXPECT_EQ(one.joint().cells[c].expected, other.joint().cells[c].expected);
      EXPECT_EQ(one.joint().cells[c].calibrated, other.joint().cells[c].calibrated);
    }
    for (const LabelErrorMethod method : kLabelErrorMethods) {
      Rows moved;
      for (const std::uint32_t row : other.Find(method).rows) {
        moved.push_back(static_cast<std::uint32_t>(order[row]));
      }
      std::sort(moved.begin(), moved.end());
      EXPECT_EQ(moved, one.Find(method).rows) << Name(method);
    }
  }
}

TEST(LabelErrorScanTest, NamesOfClassesDoNotMatter) {
  std::size_t compared = 0;
  for (const Shape& shape : Shapes()) {
    if (shape.options.steps > 0) continue;
    auto rows = RandomLabels<double>(5, shape.rows, shape.classes, shape.options);
    const auto old_class = testing::RandomOrder(6, shape.classes);
    std::vector<std::size_t> new_class(shape.classes);
    for (std::size_t k = 0; k < shape.classes; ++k) new_class[old_class[k]] = k;
    LabeledRows<double> renamed = rows;
    for (std::size_t i = 0; i < shape.rows; ++i) {
      for (std::size_t k = 0; k < shape.classes; ++k) renamed.Row(i)[k] = rows.Row(i)[old_class[k]];
      renamed.labels[i] =
          static_cast<std::int32_t>(new_class[static_cast<std::size_t>(rows.labels[i])]);
    }

    const auto one = Scan(rows);
    const auto other = Scan(renamed);

    bool rounded_alike = true;  // Equal losses of rounding go by the class's number.
    for (const JointCell& cell : one.joint().cells) {
      const auto row = other.joint().Row(new_class[static_cast<std::size_t>(cell.given)]);
      const auto voted = static_cast<std::int32_t>(new_class[static_cast<std::size_t>(cell.voted)]);
      const auto same = std::find_if(row.begin(), row.end(),
                                     [&](const JointCell& c) { return c.voted == voted; });
      ASSERT_NE(same, row.end());
      EXPECT_EQ(cell.confident, same->confident);
      EXPECT_NEAR(cell.expected, same->expected, 1e-9);
      rounded_alike = rounded_alike && cell.calibrated == same->calibrated;
    }
    for (const LabelErrorMethod method : kLabelErrorMethods) {
      const bool counts_rounded =
          method == kPruneByNoiseRate || method == kPruneByClass || method == kBoth;
      if (counts_rounded && !rounded_alike) continue;
      EXPECT_EQ(one.Find(method).rows, other.Find(method).rows) << Name(method);
      compared += counts_rounded ? 1 : 0;
    }
  }
  EXPECT_GT(compared, 20U);
}

TEST(LabelErrorScanTest, ThreadsDoNotMatter) {
  for (const std::size_t classes : {40, 300}) {
    const auto rows = RandomLabels<float>(8, 9'000, classes, {.label_noise = 0.3});
    const auto one = Scan(rows);
    for (const std::uint32_t threads : {2U, 3U, 8U}) {
      const auto several = Scan(rows, {.threads = threads});

      EXPECT_EQ(several.joint().thresholds, one.joint().thresholds);
      ASSERT_EQ(several.joint().cells.size(), one.joint().cells.size());
      for (std::size_t c = 0; c < one.joint().cells.size(); ++c) {
        EXPECT_EQ(several.joint().cells[c].voted, one.joint().cells[c].voted);
        EXPECT_EQ(several.joint().cells[c].calibrated, one.joint().cells[c].calibrated);
      }
      EXPECT_EQ(several.joint().undecided, one.joint().undecided);
      for (const LabelErrorMethod method : kLabelErrorMethods) {
        EXPECT_EQ(several.Find(method, {.threads = threads}).rows, one.Find(method).rows);
      }
    }
  }
}

TEST(LabelErrorScanTest, EveryClassKeepsItsExamplesUnderEveryMethod) {
  std::size_t spared = 0;
  for (const Shape& shape : Shapes()) {
    const auto rows = RandomLabels<double>(9, shape.rows, shape.classes,
                                           {.label_noise = 0.6, .model_noise = 0.05});
    const auto scan = Scan(rows);
    for (const LabelErrorMethod method : kLabelErrorMethods) {
      for (const std::uint64_t keep : {1, 5, 9}) {
        const LabelIssues issues = scan.Find(method, {.keep_per_class = keep});
        spared += issues.spared;

        std::vector<std::uint64_t> left = scan.joint().class_counts;
        for (const std::uint32_t row : issues.rows)
          --left[static_cast<std::size_t>(rows.labels[row])];

        for (std::size_t k = 0; k < shape.classes; ++k) {
          EXPECT_GE(left[k], std::min(keep, scan.joint().class_counts[k])) << Name(method);
        }
        EXPECT_TRUE(std::is_sorted(issues.rows.begin(), issues.rows.end()));
      }
    }
  }
  EXPECT_GT(spared, 100U);
}

TEST(LabelErrorScanTest, TheMostProbableLabelsAreGivenBackFirst) {
  LabeledRows<double> rows{2, {}, {}, {}};
  for (int i = 0; i < 20; ++i) {
    // Class 1 has eight examples; the model would call seven of them class 0.
    const double p1 = i < 12 ? 0.05 : i == 12 ? 0.95 : 0.01 * (i - 12);
    rows.probabilities.insert(rows.probabilities.end(), {1 - p1, p1});
    rows.labels.push_back(i < 12 ? 0 : 1);
  }

  const LabelIssues issues = Scan(rows).Find(kPredictedNotGiven, {.keep_per_class = 5});

  EXPECT_THAT(issues.rows, ElementsAre(13, 14, 15));
  EXPECT_EQ(issues.spared, 4U);
}

TEST(LabelErrorScanTest, RankingIsByScoreThenRunnerUpThenRow) {
  const LabeledRows<double> rows{
      3,
      {0.9, 0.1, 0.0,  //
       0.2, 0.5, 0.3,  //
       0.2, 0.7, 0.1,  // The same label's probability, and a smaller second one.
       0.2, 0.7, 0.1,  //
       0.1, 0.8, 0.1,  //
       0.1, 0.1, 0.8},
      {0, 0, 0, 0, 1, 2},
      {}};

  const RankedIssues ranked = Scan(rows).Rank(Rows{0, 1, 3, 2, 4}, LabelScore::kSelfConfidence);

  EXPECT_THAT(ranked.rows, ElementsAre(2, 3, 1, 4, 0));
  EXPECT_THAT(ranked.scores, ElementsAre(0.2, 0.2, 0.2, 0.8, 0.9));
}

TEST(LabelErrorScanTest, RankingOfManyIsInOrder) {
  for (const int steps : {0, 50}) {
    auto rows = RandomLabels<double>(2, 6'000, 4, {.steps = steps});
    const auto scan = Scan(rows);
    Rows all(rows.labels.size());
    std::iota(all.begin(), all.end(), 0U);
    for (const LabelScore score : {LabelScore::kSelfConfidence, LabelScore::kNormalizedMargin,
                                   LabelScore::kConfidenceWeightedEntropy}) {
      const RankedIssues ranked = scan.Rank(all, score);

      ASSERT_EQ(std::set<std::uint32_t>(ranked.rows.begin(), ranked.rows.end()).size(), all.size());
      for (std::size_t i = 0; i < ranked.rows.size(); ++i) {
        const std::uint32_t row = ranked.rows[i];
        ASSERT_EQ(ranked.scores[i], ScoreLabel<double>(rows.Row(row), rows.labels[row], score));
        if (i == 0) continue;
        const auto key = [&](std::size_t at) {
          return std::tuple(ranked.scores[at], NaiveRunnerUp(rows.Row(ranked.rows[at])),
                            ranked.rows[at]);
        };
        ASSERT_LT(key(i - 1), key(i));
      }
    }
  }
}

TEST(LabelErrorScanTest, FindLabelErrorsIsScanFindAndRank) {
  const auto rows = RandomLabels<float>(1, 500, 6);

  const auto found = FindLabelErrors(
      rows.View(), rows.labels,
      {.method = kPruneByClass, .rank_by = LabelScore::kSelfConfidence, .keep_per_class = 3});

  ASSERT_TRUE(found);
  const auto scan = Scan(rows);
  const LabelIssues issues = scan.Find(kPruneByClass, {.keep_per_class = 3});
  EXPECT_EQ(found->issues.rows, scan.Rank(issues.rows, LabelScore::kSelfConfidence).rows);
  EXPECT_GT(found->issues.rows.size(), 20U);
  EXPECT_EQ(found->joint.off_diagonal, scan.joint().off_diagonal);
}

TEST(LabelErrorScanTest, SuspicionFindsTheLabelsThatWereChanged) {
  const auto rows = RandomLabels<double>(
      4, 5'000, 10, {.label_noise = 0.1, .model_noise = 0.02, .least_confidence = 0.5});

  const auto found = FindLabelErrors(rows.View(), rows.labels);

  ASSERT_TRUE(found);
  std::size_t right = 0;
  for (const std::uint32_t row : found->issues.rows) right += rows.wrong[row];
  EXPECT_GT(static_cast<double>(right) / static_cast<double>(found->issues.rows.size()), 0.8);
  EXPECT_GT(right, 300U);
}

}  // namespace
}  // namespace tidewheel::labels
