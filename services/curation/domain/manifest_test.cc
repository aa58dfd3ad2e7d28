#include "tidewheel/curation/domain/manifest.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tidewheel::curation {
namespace {

TEST(ManifestWriterTest, WritesOneHeaderAndOneLinePerItem) {
  const TaskPolicy task{
      .name = "lights", .version = 3, .classes = {"red", "green"}, .min_confidence = 0.5};
  DatasetRecipe recipe{.task = "lights"};
  recipe.min_confidence = 0.5;
  recipe.sources = {"camera \"7\""};
  ManifestWriter manifest(task, recipe, std::vector<double>{0.75, 1.5});
  Digest digest;
  digest.bytes.fill(0xab);

  manifest.Add(digest, 1, Split::kTraining);
  manifest.Add(digest, 0, Split::kTest);

  std::string hex;
  for (int i = 0; i < 32; ++i) hex += "ab";
  EXPECT_EQ(manifest.items(), 2u);
  EXPECT_EQ(
      manifest.text(),
      R"({"format":"tidewheel-dataset/1","task":"lights","task_version":3,"classes":["red","green"],)"
      R"("recipe":{"class_weighting":"inverse-frequency","min_confidence":0.5,)"
      R"("sources":["camera \"7\""],"added_until":null}})"
      "\n"
      R"({"sha256":")" +
          hex +
          R"(","class":"green","split":"training","weight":1.5})"
          "\n"
          R"({"sha256":")" +
          hex +
          R"(","class":"red","split":"test","weight":1})"
          "\n");
}

TEST(ManifestWriterTest, MomentOfTheRecipeStandsInTheHeader) {
  const TaskPolicy task{.name = "t", .version = 1, .classes = {"a", "b"}, .min_confidence = 0};
  DatasetRecipe recipe{.task = "t"};
  recipe.added_until = *ParseUtc("2026-11-22T10:00:00Z");

  const ManifestWriter manifest(task, recipe, std::vector<double>{1, 1});

  EXPECT_NE(manifest.text().find(R"("added_until":"2026-11-22T10:00:00.000000Z")"),
            std::string::npos);
}

TEST(ManifestWriterTest, NewSamplesStandInItOnlyWhereThereIsAPreviousVersion) {
  const TaskPolicy task{.name = "t", .version = 1, .classes = {"a", "b"}, .min_confidence = 0};
  DatasetRecipe recipe{.task = "t"};
  Digest digest;
  digest.bytes.fill(0x01);
  ManifestWriter before(task, recipe, std::vector<double>{1, 1});
  before.Add(digest, 0, Split::kTraining, true);
  EXPECT_EQ(before.text().find("previous"), std::string::npos);

  recipe.previous_dataset_version_id = DatasetVersionId("version-1");
  recipe.new_sample_weight = 4;
  ManifestWriter manifest(task, recipe, std::vector<double>{0.5, 1}, digest);
  manifest.Add(digest, 0, Split::kTraining, true);
  manifest.Add(digest, 0, Split::kTraining, false);
  manifest.Add(digest, 0, Split::kTest, true);
  EXPECT_NE(manifest.text().find(R"("added_until":null,"previous":")" + digest.Hex() +
                                 R"(","new_sample_weight":4}})"),
            std::string::npos);
  EXPECT_NE(manifest.text().find(R"("split":"training","weight":2})"), std::string::npos);
  EXPECT_NE(manifest.text().find(R"("split":"training","weight":0.5})"), std::string::npos);
  EXPECT_NE(manifest.text().find(R"("split":"test","weight":1})"), std::string::npos);
}

TEST(JsonQuotedTest, EscapesWhatJsonAsksFor) {
  EXPECT_EQ(JsonQuoted("a\"b\\c\n\x01é"), "\"a\\\"b\\\\c\\u000a\\u0001é\"");
}

TEST(JsonNumberTest, IsTheShortestThatReadsBack) {
  for (const double value : {1.0, 0.1, 1.0 / 3.0, 11.304761904761905, 1e-9}) {
    EXPECT_EQ(std::stod(JsonNumber(value)), value);
  }
  EXPECT_EQ(JsonNumber(1), "1");
  EXPECT_EQ(JsonNumber(0.1), "0.1");
}

}  // namespace
}  // namespace tidewheel::curation
