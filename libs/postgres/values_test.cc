#include "tidewheel/postgres/values.h"

#include <gtest/gtest.h>

#include <limits>

#include "tidewheel/base/random.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/dsn.h"

namespace tidewheel::postgres {
namespace {

TEST(TimestampTest, ReadsWhatPostgresPrints) {
  const auto whole = ParseTimestamp("2026-11-22 10:00:00+00");
  const auto fraction = ParseTimestamp("1969-12-31 23:59:59.123456+00");
  const auto offset = ParseTimestamp("2026-11-22 12:00:00+02");

  ASSERT_TRUE(whole.ok() && fraction.ok() && offset.ok());
  EXPECT_EQ(FormatUtc(*whole), "2026-11-22T10:00:00.000000Z");
  EXPECT_EQ(FormatUtc(*fraction), "1969-12-31T23:59:59.123456Z");
  EXPECT_EQ(*offset, *whole);
}

TEST(TimestampTest, RefusesWhatHasNoPlaceInOurYears) {
  for (const char* text :
       {"infinity", "-infinity", "0044-03-15 12:00:00+00 BC", "12026-01-01 00:00:00+00", ""}) {
    const auto time = ParseTimestamp(text);
    ASSERT_FALSE(time.ok()) << text;
    EXPECT_EQ(time.error().code, ErrorCode::kOutOfRange);
  }
}

TEST(ArrayLiteralTest, EscapesWhatTheTextFormReserves) {
  ArrayLiteral array;
  array.AddText(std::string_view("a\"b\\c,{}"));
  array.AddText(std::optional<std::string>());
  array.AddText(std::string_view("NULL"));
  array.AddBytes(std::string_view("\x00\xff", 2));

  EXPECT_EQ(array.text(), R"({"a\"b\\c,{}",NULL,"NULL","\\x00ff"})");
  EXPECT_EQ(ArrayLiteral().text(), "{}");
}

TEST(DsnTest, SetsAParameterInBothForms) {
  EXPECT_EQ(WithParameter("host=/tmp", "user", "it's"), R"(host=/tmp user='it\'s')");
  EXPECT_EQ(WithParameter("postgresql://h/db", "user", "a b"), "postgresql://h/db?user=a%20b");
  EXPECT_EQ(WithParameter("postgresql://h/db?x=1", "user", "a"), "postgresql://h/db?x=1&user=a");
}

}  // namespace
}  // namespace tidewheel::postgres
