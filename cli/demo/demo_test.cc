#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <set>

#include "tidewheel/base/random.h"
#include "tidewheel/cli/demo/annotators.h"
#include "tidewheel/cli/demo/picture_supply.h"
#include "tidewheel/cli/demo/planted.h"
#include "tidewheel/cli/demo/report.h"
#include "tidewheel/testing/temp_folder.h"
#include "tidewheel/vision/decode.h"
#include "tidewheel/vision/difference_hash.h"
#include "tidewheel/vision/encode.h"
#include "tidewheel/vision/measure.h"

namespace tidewheel::cli::demo {
namespace {

TEST(CrowdTest, VotesDependOnNameAndSeedAlone) {
  const Crowd crowd(3, {{1, 0, 0.5}}, 7);
  const Crowd again(3, {{1, 0, 0.5}}, 7);
  for (int i = 0; i < 50; ++i) {
    const auto votes = crowd.VotesOn("picture-" + std::to_string(i), 1);
    const auto same = again.VotesOn("picture-" + std::to_string(i), 1);
    ASSERT_EQ(votes.size(), same.size());
    for (std::size_t v = 0; v < votes.size(); ++v) {
      EXPECT_EQ(votes[v].annotator, same[v].annotator);
      EXPECT_EQ(votes[v].class_index, same[v].class_index);
    }
  }
}

TEST(CrowdTest, EachPictureIsSeenByThreeToFiveDifferentPeople) {
  const Crowd crowd(10, {}, 1);
  std::set<std::size_t> counts;
  for (int i = 0; i < 500; ++i) {
    const auto votes = crowd.VotesOn(std::to_string(i), 4);
    std::set<std::size_t> people;
    for (const auto& vote : votes) people.insert(vote.annotator);
    EXPECT_EQ(people.size(), votes.size());
    counts.insert(votes.size());
  }
  EXPECT_EQ(counts, (std::set<std::size_t>{3, 4, 5}));
}

TEST(CrowdTest, EachErrsAsOftenAsItIsKnownFor) {
  const Crowd crowd(3, {}, 3);
  std::vector<double> votes(crowd.annotators().size());
  std::vector<double> wrong(votes.size());
  for (int i = 0; i < 40'000; ++i) {
    const auto truth = static_cast<std::size_t>(i % 3);
    for (const auto& vote : crowd.VotesOn("p" + std::to_string(i), truth)) {
      ++votes[vote.annotator];
      if (vote.class_index != truth) ++wrong[vote.annotator];
    }
  }
  for (std::size_t a = 0; a < votes.size(); ++a) {
    EXPECT_NEAR(wrong[a] / votes[a], crowd.annotators()[a].error, 0.01);
  }
}

TEST(CrowdTest, ABiasedMemberTakesOneClassForAnother) {
  const Crowd crowd(3, {{1, 0, 0.5}}, 3);
  double seen = 0;
  double taken = 0;
  for (int i = 0; i < 20'000; ++i) {
    for (const auto& vote : crowd.VotesOn("p" + std::to_string(i), 1)) {
      if (crowd.annotators()[vote.annotator].confusions.empty()) continue;
      ++seen;
      if (vote.class_index == 0) ++taken;
    }
  }
  EXPECT_NEAR(taken / seen, 0.51, 0.02);
}

class PlantedTest : public ::testing::Test {
 protected:
  // Stripes of different widths with a little noise: good pictures, all different.
  std::vector<Picture> Originals() const {
    std::vector<Picture> originals;
    for (int i = 0; i < 20; ++i) {
      auto image = vision::Image::Filled(24 + i, 60, 3, 90);
      Random random(static_cast<std::uint64_t>(i));
      for (std::size_t at = 0; at < image.pixels.size(); ++at) {
        const int level = at / static_cast<std::size_t>(60 + 9 * i) % 2 == 0 ? 190 : 70;
        image.pixels[at] = static_cast<std::uint8_t>(level + static_cast<int>(random.Below(41)));
      }
      Picture picture;
      picture.name = "original-" + std::to_string(i);
      picture.payload = *vision::EncodePng(image);
      originals.push_back(std::move(picture));
    }
    return originals;
  }
};

TEST_F(PlantedTest, TheSameSeedGivesTheSameBytes) {
  const auto one = PlantPictures(Originals(), true, 5);
  const auto two = PlantPictures(Originals(), true, 5);
  ASSERT_TRUE(one.ok()) << one.error().message;
  ASSERT_EQ(one->size(), two->size());
  for (std::size_t i = 0; i < one->size(); ++i) {
    EXPECT_EQ((*one)[i].picture.payload, (*two)[i].picture.payload);
  }
}

TEST_F(PlantedTest, EachIsBadInItsOwnWayOnly) {
  const auto planted = PlantPictures(Originals(), true, 5);
  ASSERT_TRUE(planted.ok()) << planted.error().message;
  for (const auto& picture : *planted) {
    SCOPED_TRACE(picture.picture.name);
    const auto image = vision::Decode(picture.picture.payload);
    if (picture.reason == ingestion::v1::REASON_CODE_UNDECODABLE) {
      EXPECT_FALSE(image.ok());
      continue;
    }
    ASSERT_TRUE(image.ok()) << image.error().message;
    const auto measures = vision::Measure(*image);
    EXPECT_EQ(picture.reason == ingestion::v1::REASON_CODE_UNDEREXPOSED,
              measures.luminance_mean < 0.02);
    EXPECT_EQ(picture.reason == ingestion::v1::REASON_CODE_OVEREXPOSED,
              measures.luminance_mean > 0.975);
    // Sharpness says nothing about a picture without light or without anything else.
    if (measures.luminance_mean < 0.02 || measures.luminance_mean > 0.975) continue;
    EXPECT_EQ(picture.reason == ingestion::v1::REASON_CODE_BLURRED,
              measures.relative_sharpness < 0.06);
  }
}

TEST_F(PlantedTest, NearDuplicatesHaveOtherBytesAndTheSameHash) {
  const auto originals = Originals();
  const auto planted = PlantPictures(originals, true, 5);
  ASSERT_TRUE(planted.ok()) << planted.error().message;
  int near = 0;
  for (const auto& picture : *planted) {
    if (picture.reason != ingestion::v1::REASON_CODE_NEAR_DUPLICATE) continue;
    const auto hash = vision::DifferenceHash(*vision::Decode(picture.picture.payload));
    for (const auto& original : originals) {
      if (vision::DifferenceHash(*vision::Decode(original.payload)) == hash) ++near;
    }
  }
  EXPECT_GE(near, 12);
}

TEST_F(PlantedTest, WithoutNearDuplicatesNoneIsPlanted) {
  const auto planted = PlantPictures(Originals(), false, 5);
  ASSERT_TRUE(planted.ok()) << planted.error().message;
  for (const auto& picture : *planted) {
    EXPECT_NE(picture.reason, ingestion::v1::REASON_CODE_NEAR_DUPLICATE);
  }
}

TEST_F(PlantedTest, NothingToPlantFromIsAnError) {
  EXPECT_EQ(PlantPictures({}, true, 1).error().code, ErrorCode::kFailedPrecondition);
}

google::protobuf::Struct Parsed(const std::string& json) {
  google::protobuf::Struct document;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &document);
  EXPECT_TRUE(status.ok()) << status.ToString() << "\n" << json;
  return document;
}

TEST(ReportTest, IsJsonOfTheAgreedForm) {
  Report report("demo", {"--data", "a \"quoted\" folder"}, 3);
  report.Expect("demo.late", "seconds");
  report.Set("demo.rate", 1234.5, "per_second", "counted");
  report.SetGoal("demo.rate", 1'000);

  const auto document = Parsed(report.Json());

  const auto& fields = document.fields();
  EXPECT_EQ(fields.at("schema").string_value(), "tidewheel.report.v1");
  EXPECT_EQ(fields.at("arguments").list_value().values(1).string_value(), "a \"quoted\" folder");
  EXPECT_EQ(fields.at("seed").number_value(), 3);
  EXPECT_GT(fields.at("machine").struct_value().fields().at("memory_bytes").number_value(), 1e6);
  const auto& figures = fields.at("figures").list_value();
  ASSERT_EQ(figures.values_size(), 2);
  const auto& late = figures.values(0).struct_value().fields();
  EXPECT_EQ(late.at("value").kind_case(), google::protobuf::Value::kNullValue);
  EXPECT_THAT(late.at("how").string_value(), ::testing::HasSubstr("not reached"));
  const auto& rate = figures.values(1).struct_value().fields();
  EXPECT_EQ(rate.at("value").number_value(), 1234.5);
  EXPECT_EQ(rate.at("goal").string_value(), ">= 1000");
  EXPECT_TRUE(rate.at("met").bool_value());
}

TEST(ReportTest, AGoalThatWasNotMeasuredIsMissed) {
  Report report("demo", {}, 1);
  EXPECT_TRUE(report.AllGoalsMet());
  report.Expect("demo.accuracy", "ratio");
  report.SetGoal("demo.accuracy", 0.9);
  EXPECT_FALSE(report.AllGoalsMet());
  report.Set("demo.accuracy", 0.9, "ratio", "counted");
  EXPECT_TRUE(report.AllGoalsMet());
  report.Set("demo.accuracy", 0.89, "ratio", "counted");
  EXPECT_FALSE(report.AllGoalsMet());
}

TEST(ReportTest, MakesItsFolder) {
  const tidewheel::testing::TempFolder folder;
  const auto path = folder.path() / "a" / "b.json";
  ASSERT_TRUE(Report("demo", {}, 1).Write(path).ok());
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_EQ(Report("demo", {}, 1).Write(path / "under-a-file.json").error().code,
            ErrorCode::kUnavailable);
}

TEST(PictureSupplyTest, AFolderWithoutPicturesSaysWhatItLooksFor) {
  const tidewheel::testing::TempFolder folder;
  const auto supply = OpenRealPictures(folder.path(), std::nullopt);
  ASSERT_FALSE(supply.ok());
  EXPECT_EQ(supply.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(supply.error().message, ::testing::HasSubstr("traffic_light_images.zip"));
}

TEST(PictureSupplyTest, DrawnPicturesAreTheSameForTheSameSeed) {
  const auto one = RenderPictures(40, 9);
  const auto two = RenderPictures(40, 9);
  const auto other = RenderPictures(40, 10);
  int differing = 0;
  for (int i = 0; i < 40; ++i) {
    const auto a = *one->Next();
    const auto b = *two->Next();
    const auto c = *other->Next();
    ASSERT_TRUE(a && b && c);
    EXPECT_EQ(a->picture.payload, b->picture.payload);
    EXPECT_EQ(a->class_index, b->class_index);
    EXPECT_FALSE(a->picture.group.empty());
    if (a->picture.payload != c->picture.payload) ++differing;
  }
  EXPECT_GT(differing, 35);
  EXPECT_FALSE((*one->Next()).has_value());
}

}  // namespace
}  // namespace tidewheel::cli::demo
