#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "tidewheel/cli/output/exit_status.h"
#include "tidewheel/cli/output/json.h"
#include "tidewheel/cli/output/progress_bar.h"
#include "tidewheel/cli/output/table.h"

namespace tidewheel::cli {
namespace {

TEST(TableTest, ColumnsAreSetByTheirWidestCellAndNumbersToTheRight) {
  Table table({"NAME", ">COUNT", "LAST"});
  table.Add({"rot", "7", "x"});
  table.Add({"gr\xC3\xBCn", "1 200", ""});

  EXPECT_EQ(table.Text(), "NAME  COUNT  LAST\nrot       7  x\ngr\xC3\xBCn  1 200  \n");
}

TEST(TableTest, CellsCannotSteerTheTerminal) {
  Table table({"NAME"});
  table.Add({"\x1b]0;owned\x07"});

  EXPECT_EQ(table.Text(), "NAME\n\\x1B]0;owned\\x07\n");
}

TEST(TableTest, NotesAreWholeWrappedAndBelowTheirRow) {
  std::string reason = "reason:";
  for (int i = 0; i < 40; ++i) reason += " word" + std::to_string(i);
  Table table({"NAME"});
  table.Add({"first"});
  table.Note(reason);
  table.Note("\x1b[2J " + std::string(300, 'x'));
  table.Add({"second"});

  const std::string text = table.Text();
  std::istringstream lines(text);
  std::vector<std::string> all;
  for (std::string line; std::getline(lines, line);) all.push_back(line);
  ASSERT_EQ(all.size(), 8U) << text;
  EXPECT_EQ(all[1], "first");
  EXPECT_EQ(all[7], "second");
  EXPECT_TRUE(all[2].starts_with("    reason: word0 "));
  EXPECT_TRUE(all[3].starts_with("      word"));
  EXPECT_EQ(all[5], "    \\x1B[2J");
  EXPECT_EQ(all[6], "      " + std::string(300, 'x'));  // A word is never cut.
  std::string joined;
  for (int i = 2; i < 5; ++i) joined += all[i].substr(all[i].find_first_not_of(' ')) + " ";
  EXPECT_EQ(joined, reason + " ");
  for (int i = 2; i < 5; ++i) EXPECT_LE(all[i].size(), 100U);
}

TEST(TableTest, CountsAreGroupedByThousands) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1'000), "1 000");
  EXPECT_EQ(FormatCount(12'345'678), "12 345 678");
}

TEST(TableTest, TimesAreShownInUtcToTheSecond) {
  google::protobuf::Timestamp time;
  EXPECT_EQ(FormatTime(time), "-");
  time.set_seconds(1'795'341'600);
  EXPECT_EQ(FormatTime(time), "2026-11-22 10:00:00");
}

TEST(JsonObjectTest, KeepsTheOrderInWhichKeysWereSet) {
  JsonObject object;
  object.Set("z", std::uint64_t{70'000})
      .Set("name", "a\"b\n\xFF")
      .Set("ok", true)
      .EnsureList("none");
  object.Add("list", JsonObject().Set("x", 0.5))
      .Set("inner", JsonObject())
      .Set("z", std::uint64_t{1});

  EXPECT_EQ(object.Line(),
            "{\"z\":1,\"name\":\"a\\\"b\\\\x0A\\\\xFF\",\"ok\":true,\"none\":[],"
            "\"list\":[{\"x\":0.5}],\"inner\":{}}\n");
}

TEST(JsonObjectTest, IsReadableWithLines) {
  EXPECT_EQ(JsonObject().Set("a", "1\n").Add("b", JsonObject().Set("c", false)).Text(),
            "{\n \"a\": \"1\\u000a\",\n \"b\": [\n  {\n   \"c\": false\n  }\n ]\n}\n");
}

TEST(ProgressLineTest, FitsTheTerminalAndFillsWithWhatIsDone) {
  EXPECT_EQ(ProgressLine("push", 0, 10, "", 80), "push [>" + std::string(23, ' ') + "] 0/10");
  EXPECT_EQ(ProgressLine("push", 10, 10, "", 80), "push [" + std::string(24, '=') + "] 10/10");
  EXPECT_EQ(ProgressLine("push", 12, std::nullopt, "fast", 80), "push 12  fast");
  EXPECT_LT(ProgressLine("push", 5, 10, std::string(200, 'x'), 40).size(), 40u);
}

TEST(ExitStatusTest, ScriptsCanTellAnAbsentServiceFromAFailure) {
  EXPECT_EQ(ExitStatusOf({ErrorCode::kUnavailable, ""}), ExitStatus::kUnavailable);
  EXPECT_EQ(ExitStatusOf({ErrorCode::kDeadlineExceeded, ""}), ExitStatus::kUnavailable);
  EXPECT_EQ(ExitStatusOf({ErrorCode::kNotFound, ""}), ExitStatus::kFailed);
}

}  // namespace
}  // namespace tidewheel::cli
