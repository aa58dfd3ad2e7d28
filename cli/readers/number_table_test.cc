#include "tidewheel/cli/readers/number_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

namespace tidewheel::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class NumberTableTest : public ::testing::Test {
 protected:
  NumberTableTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "tidewheel-table-XXXXXX").string();
    folder_ = std::filesystem::canonical(::mkdtemp(pattern.data()));
  }
  ~NumberTableTest() override { std::filesystem::remove_all(folder_); }

  Result<NumberTable> Read(const std::string& text, const TableOptions& options = {}) {
    const auto path = folder_ / "t.csv";
    std::ofstream(path, std::ios::binary) << text;
    return NumberTable::Read(path, options);
  }

  /// One column of numbers.
  std::vector<double> Numbers(const std::string& text) {
    const auto table = Read(text);
    if (!table) {
      ADD_FAILURE() << table.error().message;
      return {};
    }
    return table->columns()[0].numbers;
  }

  std::filesystem::path folder_;
};

TEST_F(NumberTableTest, ColumnsAreNumbersOrTextsByTheirFields) {
  const auto table = Read("age,city,score\n31,\"Delft, NL\",0.5\n40,Bonn,-1e3\n31,Bonn,+.25\n");
  ASSERT_TRUE(table.ok()) << table.error().message;

  EXPECT_EQ(table->rows(), 3u);
  ASSERT_EQ(table->columns().size(), 3u);
  EXPECT_THAT(*table->Numbers("age"), ElementsAre(31, 40, 31));
  EXPECT_THAT(*table->Numbers("score"), ElementsAre(0.5, -1000, 0.25));
  const TableColumn& city = **table->Find("city");
  EXPECT_FALSE(city.IsNumbers());
  EXPECT_THAT(city.texts, ElementsAre("Delft, NL", "Bonn"));
  EXPECT_THAT(city.codes, ElementsAre(0, 1, 1));
}

TEST_F(NumberTableTest, MissingFieldsAreCountedAndKeepTheirRow) {
  const auto table = Read("x,t\n1,a\n,\n NA ,b\nnan,null\n2, \n");
  ASSERT_TRUE(table.ok()) << table.error().message;

  const auto x = *table->Numbers("x");
  ASSERT_EQ(x.size(), 5u);
  EXPECT_TRUE(std::isnan(x[1]) && std::isnan(x[2]) && std::isnan(x[3]));
  EXPECT_EQ(table->columns()[0].missing, 3u);
  EXPECT_THAT(table->columns()[1].codes, ElementsAre(0, -1, 1, -1, -1));
  EXPECT_EQ(table->columns()[1].missing, 3u);
}

TEST_F(NumberTableTest, AColumnOfMissingFieldsHasNumbersThatAreAllMissing) {
  const auto table = Read("x,y\n,1\n,2\n");
  EXPECT_TRUE(table->columns()[0].IsNumbers());
  EXPECT_EQ(table->columns()[0].missing, 2u);
}

TEST_F(NumberTableTest, NumbersAreReadToTheLastDigitAndWhatIsNoneIsNone) {
  EXPECT_THAT(
      Numbers(
          "x\n0.1\n 7 \n-0\n9007199254740993\n4.9e-324\n1e400\n-1e400\n1e-400\ninf\n-Infinity\n"),
      ElementsAre(0.1, 7, 0, 9007199254740992.0, 4.9e-324, kInfinity, -kInfinity, 0, kInfinity,
                  -kInfinity));
  const std::string tiny = "x\n0." + std::string(400, '0') + "1\n";
  EXPECT_THAT(Numbers(tiny), ElementsAre(0));
  for (const char* field : {"1 2", "0x10", "1_000", "--1", "+-1", "1e", "one", "1,5", "."}) {
    const auto table = Read("x\n\"" + std::string(field) + "\"\n");
    EXPECT_FALSE(table->columns()[0].IsNumbers()) << field;
  }
}

TEST_F(NumberTableTest, LateTextsMakeTheWholeColumnTextsAsTheyStand) {
  const auto table = Read("id,x\n007,1\n,2\n 7,3\nb7,4\n007,5\n");
  ASSERT_TRUE(table.ok()) << table.error().message;

  const TableColumn& id = table->columns()[0];
  EXPECT_THAT(id.texts, ElementsAre("007", " 7", "b7"));
  EXPECT_THAT(id.codes, ElementsAre(0, -1, 1, 2, 0));
  EXPECT_THAT(id.numbers, IsEmpty());
  EXPECT_EQ(id.missing, 1u);
  EXPECT_THAT(*table->Numbers("x"), ElementsAre(1, 2, 3, 4, 5));
  const auto numbers = table->Numbers("id");
  ASSERT_FALSE(numbers.ok());
  EXPECT_THAT(numbers.error().message, EndsWith("t.csv:5: column \"id\": \"b7\" is no number"));
}

TEST_F(NumberTableTest, WantedColumnsComeInTheWantedOrderAndKind) {
  const std::string votes = "worker,item,label,note\n1,07,2,x\n2,7,1,y\n";
  const auto table = Read(votes, {.columns = {{"item", ColumnKind::kTexts},
                                              {"worker", ColumnKind::kTexts},
                                              {"label", ColumnKind::kNumbers}}});
  ASSERT_TRUE(table.ok()) << table.error().message;

  ASSERT_EQ(table->columns().size(), 3u);
  EXPECT_THAT(table->columns()[0].texts, ElementsAre("07", "7"));
  EXPECT_THAT(table->columns()[1].texts, ElementsAre("1", "2"));
  EXPECT_THAT(table->columns()[2].numbers, ElementsAre(2, 1));
  EXPECT_FALSE(table->Find("note").ok());
  EXPECT_THAT(table->Numbers("item").error().message, HasSubstr("was read as texts"));
}

TEST_F(NumberTableTest, ErrorsNameFileLineAndColumn) {
  const auto text = Read("a,b\n1,2\n3,\"4\nx\"\n", {.columns = {{"b", ColumnKind::kNumbers}}});
  EXPECT_EQ(text.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(text.error().message, EndsWith("t.csv:3: column \"b\": \"4\\x0Ax\" is no number"));

  const auto column = Read("a,b\n1,2\n", {.columns = {{"c"}}});
  EXPECT_EQ(column.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(column.error().message, EndsWith("t.csv: no column \"c\"; there are a, b"));

  EXPECT_THAT(Read("a,b\n").error().message, EndsWith("t.csv: a header and no row"));
  EXPECT_THAT(Read("a,b\n1\n").error().message, HasSubstr("t.csv:2: 1 fields, the header has 2"));
  EXPECT_THAT(Read("a\n\"1\n").error().message, HasSubstr("never closed"));
  EXPECT_FALSE(Read("").ok());
  EXPECT_EQ(NumberTable::Read(folder_ / "none.csv").error().code, ErrorCode::kNotFound);
}

TEST_F(NumberTableTest, MoreRowsThanTheLimitAreRefused) {
  EXPECT_TRUE(Read("a\n1\n2\n", {.rows = 2}).ok());
  const auto refused = Read("a\n1\n2\n3\n", {.rows = 2});
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfRange);
  EXPECT_THAT(refused.error().message, EndsWith("t.csv: more than 2 rows"));
}

TEST_F(NumberTableTest, WideTablesHaveTheirBounds) {
  const auto wide = [](std::size_t columns, const std::string& field) {
    std::string header;
    std::string row;
    for (std::size_t i = 0; i < columns; ++i) {
      header += (i > 0 ? ",c" : "c") + std::to_string(i);
      row += (i > 0 ? "," : "") + field;
    }
    return header + "\n" + row + "\n";
  };
  EXPECT_EQ(Read(wide(4096, "1"))->columns().size(), 4096u);
  EXPECT_THAT(Read(wide(4097, "1")).error().message, EndsWith("t.csv:1: more than 4096 columns"));
  const std::string large(64 * 1024, 'x');
  EXPECT_TRUE(Read(wide(256, large)).ok());
  EXPECT_THAT(Read(wide(257, large)).error().message,
              EndsWith("t.csv:2: a row of more than 16.0 MiB"));
  EXPECT_THAT(Read(wide(1, large + "x")).error().message,
              EndsWith("t.csv:2: a field of more than 64.0 KiB"));
}

TEST_F(NumberTableTest, OtherMissingWordsCanBeAskedFor) {
  const auto table = Read("a\n-1\n3\n", {.missing = {"-1"}});
  EXPECT_EQ(table->columns()[0].missing, 1u);
  EXPECT_TRUE(std::isnan(table->columns()[0].numbers[0]));
}

TEST_F(NumberTableTest, GzipIsUnpackedOnTheWayAlsoTwice) {
  const auto path = folder_ / "t.csv.gz";
  gzFile file = gzopen(path.c_str(), "wb");
  const std::string text = "a\n1\nb\n";
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);

  const auto table = NumberTable::Read(path);
  ASSERT_TRUE(table.ok()) << table.error().message;
  EXPECT_THAT(table->columns()[0].texts, ElementsAre("1", "b"));
}

}  // namespace
}  // namespace tidewheel::cli
