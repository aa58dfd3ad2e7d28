#include "tidewheel/stats/slice_definition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using ::testing::HasSubstr;

TEST(SliceDefinitionTest, IsTheSameInWhateverOrderItsTermsWereGiven) {
  const auto a = SliceDefinition::Of({{"time", "night"}, {"lamp", "led"}});
  const auto b = SliceDefinition::Of({{"lamp", "led"}, {"time", "night"}});

  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->canonical(), "\"lamp\"=\"led\" & \"time\"=\"night\"");
  EXPECT_EQ(*a, *b);
  EXPECT_EQ(a->Fingerprint(), b->Fingerprint());
}

TEST(SliceDefinitionTest, FingerprintNeverChanges) {
  // Stored reports name slices by it.
  const auto slice = SliceDefinition::Of({{"lamp", "led"}});
  ASSERT_TRUE(slice.ok());
  EXPECT_EQ(slice->Fingerprint().size(), 32U);
  EXPECT_EQ(slice->Fingerprint(), "c82092162decb720775cf5a2dc8b0471");
}

TEST(SliceDefinitionTest, ComesBackFromItsCanonicalStringWhateverTheBytes) {
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<SliceTerm> terms;
    for (std::uint64_t i = 0; i <= random.Below(4); ++i) {
      SliceTerm term{std::to_string(i), ""};
      for (std::uint64_t n = random.Below(9); n > 0; --n) {
        const char odd[] = {'"', '\\', '=', '&', ' ', '\n', '\0', 'x', 'a'};
        (random.Below(2) == 0 ? term.column : term.value) +=
            random.Below(3) == 0 ? static_cast<char>(random.Below(256)) : odd[random.Below(9)];
      }
      terms.push_back(term);
    }
    std::sort(terms.begin(), terms.end());

    const auto slice = SliceDefinition::Of(terms);
    ASSERT_TRUE(slice.ok());
    const auto back = SliceDefinition::Parse(slice->canonical());

    ASSERT_TRUE(back.ok()) << slice->canonical() << ": " << back.error().message;
    EXPECT_EQ(back->terms(), terms);
    for (const char c : slice->canonical()) EXPECT_GE(static_cast<unsigned char>(c), 32);
  }
}

TEST(SliceDefinitionTest, OtherSpellingsAndBrokenOnesAreRefused) {
  const auto message = [](std::string_view text) {
    const auto slice = SliceDefinition::Parse(text);
    return slice.ok() ? std::string("accepted") : slice.error().message;
  };

  EXPECT_THAT(message("\"b\"=\"1\" & \"a\"=\"2\""), HasSubstr("it would be \"a\"=\"2\" & \"b\""));
  EXPECT_THAT(message("\"\\a\"=\"1\""), HasSubstr("not canonical"));
  for (const char* broken :
       {"", "a=1", "\"a\"", "\"a\"=", "\"a\"=\"1", "\"a\"=\"1\" ", "\"a\"=\"1\" & ", "\"a\"=\"1\\",
        "\"a\"=\"\\x1\"", "\"a\"=\"\\xg0\""}) {
    EXPECT_THAT(message(broken), HasSubstr("breaks off at byte")) << broken;
  }
  EXPECT_THAT(message("\"a\"=\"1\" & \"a\"=\"2\""), HasSubstr("column \"a\" twice"));
}

TEST(SliceDefinitionTest, RefusesNoTermsTooManyAndTooLong) {
  EXPECT_FALSE(SliceDefinition::Of({}).ok());
  EXPECT_FALSE(SliceDefinition::Of({{"", "x"}}).ok());
  EXPECT_FALSE(SliceDefinition::Of({{"x", std::string(257, 'a')}}).ok());
  std::vector<SliceTerm> many;
  for (int i = 0; i < 9; ++i) many.push_back({std::to_string(i), ""});
  EXPECT_FALSE(SliceDefinition::Of(many).ok());
  std::string text;
  for (int i = 0; i < 5000; ++i) {
    text += (i > 0 ? " & \"" : "\"") + std::to_string(i) + "\"=\"1\"";
  }
  EXPECT_FALSE(SliceDefinition::Parse(text).ok());
}

TEST(SliceBookTest, AChangedDefinitionIsANewVersionAndTheOldOneStays) {
  const auto night = SliceDefinition::Of({{"time", "night"}});
  const auto dark = SliceDefinition::Of({{"time", "dark"}});
  ASSERT_TRUE(night.ok() && dark.ok());
  SliceBook book;

  EXPECT_EQ(book.Put("night", *night)->version, 1);
  EXPECT_EQ(book.Put("night", *night)->version, 1);
  EXPECT_EQ(book.Put("night", *dark)->version, 2);
  EXPECT_EQ(book.Put("also-night", *night)->version, 1);

  EXPECT_EQ(book.Find("night")->definition, *dark);
  EXPECT_EQ(book.Find("night", 1)->definition, *night);
  EXPECT_EQ(book.List().size(), 2U);
  EXPECT_EQ(book.Find("night", 3).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(book.Find("night", -1).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(book.Find("day").error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(book.Put("Night Time", *night).ok());
  EXPECT_FALSE(book.Put("", *night).ok());
  EXPECT_FALSE(book.Put(std::string(65, 'a'), *night).ok());
}

}  // namespace
}  // namespace tidewheel::stats
