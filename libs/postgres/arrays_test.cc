#include "tidewheel/postgres/arrays.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/testing/postgres_server.h"

namespace tidewheel::postgres {
namespace {

class ArraysTest : public testing::PostgresTest {};

std::string AnyBytes(Random& random, bool zero_allowed) {
  std::string text;
  const auto length = random.Below(40);
  for (std::uint64_t i = 0; i < length; ++i) {
    text.push_back(static_cast<char>(zero_allowed ? random.Below(256) : 1 + random.Below(127)));
  }
  return text;
}

TEST_F(ArraysTest, BothFormsBringBackWhatWentIn) {
  Random random(1);
  std::vector<std::string> texts;
  std::vector<std::string> bytes;
  std::vector<double> doubles = {0.1, -0.0, 1e308, 5e-324, std::numeric_limits<double>::infinity()};
  std::vector<Timestamp> times;
  for (int i = 0; i < 500; ++i) {
    texts.push_back(AnyBytes(random, false));
    bytes.push_back(AnyBytes(random, true));
    times.push_back(Timestamp(std::chrono::microseconds(random.Below(4'000'000'000'000'000))));
    doubles.push_back(random.Normal() * 1e10);
  }
  doubles.resize(500);
  ArrayLiteral literals[4];
  TextArray text_array;
  ByteaArray bytea_array;
  DoubleArray double_array;
  TimestampArray time_array;
  for (std::size_t i = 0; i < 500; ++i) {
    literals[0].AddText(std::string_view(texts[i]));
    literals[1].AddBytes(bytes[i]);
    literals[2].AddDouble(doubles[i]);
    literals[3].AddTimestamp(times[i]);
    text_array.Add(texts[i]);
    bytea_array.Add(bytes[i]);
    double_array.Add(doubles[i]);
    time_array.Add(times[i]);
  }
  Pool pool({.dsn = database_.admin_dsn, .connections = 1});

  const auto checked = pool.ReadOnly([&](pqxx::transaction_base& tx) -> Result<void> {
    const std::string sql =
        "SELECT t, b, d, s FROM unnest($1::text[], $2::bytea[], $3::double precision[], "
        "$4::timestamptz[])"
        " WITH ORDINALITY AS m (t, b, d, s, n) ORDER BY n";
    const auto by_text = tx.exec_params(sql, literals[0].text(), literals[1].text(),
                                        literals[2].text(), literals[3].text());
    const auto by_binary = tx.exec_params(sql, text_array.Parameter(), bytea_array.Parameter(),
                                          double_array.Parameter(), time_array.Parameter());
    for (const auto& rows : {by_text, by_binary}) {
      EXPECT_EQ(rows.size(), 500u);
      for (std::size_t i = 0; i < 500; ++i) {
        const auto row = rows[static_cast<pqxx::result::size_type>(i)];
        EXPECT_EQ(row[0].as<std::string>(), texts[i]);
        EXPECT_EQ(BytesOf(row[1]), bytes[i]);
        EXPECT_EQ(std::strtod(row[2].c_str(), nullptr), doubles[i]);
        EXPECT_EQ(row[3].as<Timestamp>(), times[i]);
      }
    }
    return {};
  });

  EXPECT_TRUE(checked.ok()) << checked.error().message;
}

TEST_F(ArraysTest, NullsEmptyArraysAndTheOtherTypes) {
  TextArray with_null;
  with_null.AddOptional(std::nullopt);
  with_null.Add("x");
  IntegerArray integers;
  integers.Add(-1);
  BigintArray bigints;
  bigints.Add(std::numeric_limits<std::int64_t>::min());
  RealArray reals;
  reals.Add(0.5F);
  BooleanArray booleans;
  booleans.Add(true);
  Pool pool({.dsn = database_.admin_dsn, .connections = 1});

  const auto text = pool.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::string> {
    return tx
        .exec_params1(
            "SELECT concat_ws(' ', $1::text[], $2::integer[], $3::bigint[], $4::real[], "
            "$5::boolean[],"
            " $6::text[], $7::text[])",
            with_null.Parameter(), integers.Parameter(), bigints.Parameter(), reals.Parameter(),
            booleans.Parameter(), TextArray().Parameter(), ArrayLiteral().text())[0]
        .as<std::string>();
  });

  ASSERT_TRUE(text.ok()) << text.error().message;
  EXPECT_EQ(*text, "{NULL,x} {-1} {-9223372036854775808} {0.5} {t} {} {}");
}

TEST_F(ArraysTest, ZeroByteInTextIsRefusedNotCut) {
  TextArray array;
  array.Add(std::string_view("a\0b", 3));
  Pool pool({.dsn = database_.admin_dsn, .connections = 1});

  const auto done = pool.ReadOnly([&](pqxx::transaction_base& tx) -> Result<void> {
    tx.exec_params("SELECT $1::text[]", array.Parameter());
    return {};
  });

  EXPECT_EQ(done.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tidewheel::postgres
