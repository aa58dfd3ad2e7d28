#include "tidewheel/model_registry/declaration/task_yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidewheel::model_registry {
namespace {

using testing::HasSubstr;

constexpr char kSmall[] = "task: lights\nclasses: [red, yellow, green]\n";

TEST(TaskYamlTest, FillsInDefaults) {
  const auto spec = ParseTaskYaml(kSmall);

  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_EQ(spec->name, "lights");
  EXPECT_EQ(spec->preprocessing.mean, std::vector<double>({0.5, 0.5, 0.5}));
  EXPECT_EQ(spec->labels.method, ConsensusMethod::kDawidSkene);
}

TEST(TaskYamlTest, PrintsWhatItReads) {
  auto spec = ParseTaskYaml(
      "task: digits\ndescription: \"a: \\\"b\\\"\"\nclasses: [\"0\", \"yes\", 'x#y']\n"
      "preprocessing: {width: 28, height: 28, channels: 1, mean: [0.1307], std: [0.3081], resize: "
      "fit_pad}\n"
      "quality: {max_payload: 1MiB, min_sharpness: 0, near_duplicate_group_distance: -1}\n"
      "splits: {test_share: 0.2, metadata_key: split}\nlabels: {method: majority}\n"
      "gate: {primary_metric: accuracy, min_primary_metric: 0.9}\nmonitoring: {window_predictions: "
      "500}\n");
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_EQ(spec->quality.max_payload_bytes, 1U << 20);

  const auto again = ParseTaskYaml(PrintTaskYaml(*spec));

  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(*again, *spec);
}

TEST(TaskYamlTest, DefaultsSpelledOutAreTheSameTask) {
  const auto spec = ParseTaskYaml(kSmall);
  const auto spelled = ParseTaskYaml(std::string(kSmall) + "splits: {seed: 1, test_share: 0.15}\n");
  EXPECT_EQ(PrintTaskYaml(*spec), PrintTaskYaml(*spelled));
}

TEST(TaskYamlTest, TellsEveryProblemWithItsLine) {
  const auto spec = ParseTaskYaml(
      "task: Lights\nclasses: [red]\npreprocessing:\n  widht: 32\n  height: -4\nlabels:\n  method: "
      "vote\n");

  ASSERT_FALSE(spec.ok());
  EXPECT_EQ(spec.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(spec.error().message, HasSubstr("task:4"));
  EXPECT_THAT(spec.error().message, HasSubstr("width"));
  EXPECT_THAT(spec.error().message, HasSubstr("task:5"));
  EXPECT_THAT(spec.error().message, HasSubstr("dawid_skene"));
  EXPECT_THAT(spec.error().message, HasSubstr("needs 2 to 1000 names"));
}

TEST(TaskYamlTest, RefusesWhatIsNoTask) {
  for (const char* bad : {"", "[]", "task: [", "task: a\nclasses: {a: b}\n", "\t",
                          "task: a\ntask: b\nclasses: [a, b]\n"}) {
    EXPECT_FALSE(ParseTaskYaml(bad).ok()) << bad;
  }
  EXPECT_FALSE(
      ParseTaskYaml(std::string(kSmall) + "description: " + std::string(300'000, 'x')).ok());
}

}  // namespace
}  // namespace tidewheel::model_registry
