#include "tidewheel/labels/confident_joint.h"

#include <gtest/gtest.h>

namespace tidewheel::labels {
namespace {

TEST(ConfidentJointTest, ManyClassesNeedOnlyTheCellsThatHaveVotes) {
  // 20,000 classes would be three gigabytes of counters.
  const std::size_t classes = 20'000;
  std::vector<std::uint64_t> counts(classes, 3);
  std::vector<std::uint64_t> diagonal(classes, 2);

  const ConfidentJoint joint = CompleteJoint(std::vector<double>(classes, 0.5), counts, diagonal,
                                             {{19'999, 7, 1}, {3, 19'998, 2}}, 0);

  EXPECT_EQ(joint.cells.size(), classes + 2);
  EXPECT_EQ(joint.off_diagonal, 3U);
  EXPECT_EQ(joint.Row(19'999)[0].voted, 7);
  EXPECT_EQ(joint.Row(19'999)[0].calibrated, 1U);
  EXPECT_EQ(joint.Row(3)[1].calibrated + joint.Row(3)[0].calibrated, 3U);
}

TEST(ConfidentJointTest, RoundingGivesWhatIsLeftToTheLargestLossThenTheLaterClass) {
  // 10 examples over votes 1, 1, 1: 3.33 each.
  const ConfidentJoint joint = CompleteJoint(
      {.5, .5, .5}, {10, 1, 1}, std::vector<std::uint64_t>{1, 1, 1}, {{0, 1, 1}, {0, 2, 1}}, 0);

  EXPECT_EQ(joint.cells[0].calibrated, 3U);
  EXPECT_EQ(joint.cells[1].calibrated, 3U);
  EXPECT_EQ(joint.cells[2].calibrated, 4U);
}

TEST(ConfidentJointTest, AClassWithoutExamplesHasAnEmptyRow) {
  const ConfidentJoint joint =
      CompleteJoint({.5, 2}, {10, 0}, std::vector<std::uint64_t>{4, 0}, {}, 6);

  EXPECT_EQ(joint.Row(1)[0].confident, 1U);
  EXPECT_EQ(joint.Row(1)[0].calibrated, 0U);
  EXPECT_EQ(joint.Row(0)[0].calibrated, 10U);
}

TEST(ConfidentJointTest, PruningLeavesWhatAClassMustKeep) {
  // 10 examples: diagonal 1, cells 7 and 2; four more must stay, two from each cell.
  const ConfidentJoint joint = CompleteJoint(
      {.5, .5, .5}, {10, 5, 5}, std::vector<std::uint64_t>{1, 5, 5}, {{0, 1, 7}, {0, 2, 2}}, 0);

  const PruneCounts counts = CountsToPrune(joint, 5);

  EXPECT_EQ(counts.kept[0], 5U);
  EXPECT_EQ(counts.removed[0], 0U);
  EXPECT_EQ(counts.removed[1], 5U);
  EXPECT_EQ(counts.removed[2], 0U);
  EXPECT_EQ(counts.kept[1], 5U);
}

}  // namespace
}  // namespace tidewheel::labels
