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

constexpr char kLoop[] =
    "gate:\n  max_loss: 0.02\n  slice_keys: [camera]\n  tests:\n"
    "    - {name: stop, kind: minimum_function, metadata_key: set, metadata_value: stop}\n"
    "    - name: night\n      kind: invariance\n      transform: darken\n      amount: 0.2\n"
    "      min_share: 0.9\n"
    "monitoring:\n  window_predictions: 50\n  slice_keys: [camera, \"time of day\"]\n"
    "  webhooks: [\"http://127.0.0.1:9/x\"]\n"
    "capture: {random_share: 0.05, uncertain_below: 0.9, out_of_distribution_quantile: 0.99}\n"
    "cycle:\n  enabled: true\n  alert_causes: [data_drift, accuracy]\n  max_labels: 100\n"
    "  sign_off_roles: [safety]\n  rollout: {canary_shares: [0.5], shadow_predictions: 50}\n";

TEST(TaskYamlTest, ReadsAndPrintsTheClosedLoop) {
  const auto spec = ParseTaskYaml(std::string(kSmall) + kLoop);
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  ASSERT_EQ(spec->gate.tests.size(), 2U);
  EXPECT_EQ(spec->gate.tests[0].kind, ModelTestKind::kMinimumFunction);
  EXPECT_EQ(spec->gate.tests[1].transform, "darken");
  EXPECT_EQ(spec->monitoring.slice_keys[1], "time of day");
  EXPECT_EQ(spec->capture.uncertain_below, 0.9);
  EXPECT_TRUE(spec->cycle.enabled);
  EXPECT_EQ(spec->cycle.rollout.canary_shares, std::vector<double>({0.5}));
  EXPECT_EQ(spec->cycle.rollout.canary_predictions, 200U);

  const auto again = ParseTaskYaml(PrintTaskYaml(*spec));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(*again, *spec);
  EXPECT_EQ(PrintTaskYaml(*again), PrintTaskYaml(*spec));
}

TEST(TaskYamlTest, WhatADayMayCostIsPrintedWhereItIsLimited) {
  const std::string loop = std::string(kSmall) + "cycle:\n  enabled: true\n  max_labels: 100\n";
  const auto free = ParseTaskYaml(loop);
  ASSERT_TRUE(free.ok()) << free.error().message;
  EXPECT_THAT(PrintTaskYaml(*free), testing::Not(HasSubstr("per_day")));
  const auto limited = ParseTaskYaml(
      loop + "  max_labels_per_day: 250\n  max_cpu_seconds: 60\n  max_cpu_seconds_per_day: 90.5\n");
  ASSERT_TRUE(limited.ok()) << limited.error().message;
  EXPECT_EQ(limited->cycle.max_labels_per_day, 250U);
  EXPECT_EQ(limited->cycle.max_cpu_seconds_per_day, 90.5);
  EXPECT_EQ(*ParseTaskYaml(PrintTaskYaml(*limited)), *limited);
  const auto too_little =
      ParseTaskYaml(loop + "  max_labels_per_day: 99\n  max_cpu_seconds_per_day: 10\n");
  ASSERT_FALSE(too_little.ok());
  EXPECT_THAT(too_little.error().message, HasSubstr("cycle.max_labels_per_day"));
  EXPECT_THAT(too_little.error().message, HasSubstr("cycle.max_cpu_seconds_per_day"));
}

TEST(TaskYamlTest, AnEmptyListIsNotTheDefault) {
  const auto spec = ParseTaskYaml(std::string(kSmall) + "cycle: {rollout: {canary_shares: []}}\n");
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_TRUE(spec->cycle.rollout.canary_shares.empty());
  EXPECT_EQ(*ParseTaskYaml(PrintTaskYaml(*spec)), *spec);
}

TEST(TaskYamlTest, TasksOfBeforeTheLoopPrintAsBefore) {
  const std::string printed = PrintTaskYaml(*ParseTaskYaml(kSmall));
  EXPECT_THAT(printed, testing::EndsWith("  min_class_recall: 0\n"
                                         "monitoring:\n  window_predictions: 200\n"));
  const auto spelled = ParseTaskYaml(
      std::string(kSmall) +
      "gate: {max_loss: 0.01}\ncapture: {max_per_minute: 600}\ncycle: {enabled: false}\n");
  ASSERT_TRUE(spelled.ok()) << spelled.error().message;
  EXPECT_EQ(PrintTaskYaml(*spelled), printed);
}

TEST(TaskYamlTest, TellsProblemsOfTheLoopAtTheirKeys) {
  const auto spec = ParseTaskYaml(
      std::string(kSmall) +
      "gate:\n  tests:\n    - {name: a, kind: guess}\n    - {name: b, kind: direction, transform: "
      "paint}\nmonitoring:\n  webhooks: [ftp://x]\ncapture:\n  random_shares: 0.1\n"
      "cycle:\n  alert_causes: [weather]\n  rollout:\n    canary_shares: [0.5, 0.2]\n");

  ASSERT_FALSE(spec.ok());
  for (const char* part :
       {"task:5", "gate.tests[0].kind", "minimum_function", "task:6", "gate.tests[1].transform",
        "monitoring.webhooks[0]", "task:8", "capture.random_shares", "unknown key",
        "cycle.alert_causes[0]", "label_shift", "cycle.rollout.canary_shares[1]", "task:14"}) {
    EXPECT_THAT(spec.error().message, HasSubstr(part));
  }
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
