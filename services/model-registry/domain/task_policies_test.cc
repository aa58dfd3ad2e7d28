#include "tidewheel/model_registry/domain/task_policies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tidewheel/model_registry/domain/fake_stores.h"

namespace tidewheel::model_registry {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<SpecProblem> ProblemsOf(const std::function<void(TaskSpec&)>& change) {
  TaskSpec spec = GoodSpec();
  change(spec);
  return Validate(spec);
}

auto Names(const std::string& key, const std::string& message) {
  return Contains(
      AllOf(Field(&SpecProblem::key, key), Field(&SpecProblem::message, HasSubstr(message))));
}

TEST(TaskPoliciesTest, DefaultsBreakNoRule) { EXPECT_THAT(Validate(GoodSpec()), IsEmpty()); }

TEST(TaskPoliciesTest, CanarySharesRiseBetweenZeroAndOne) {
  const auto with = [](std::vector<double> shares) {
    return ProblemsOf([&](TaskSpec& spec) { spec.cycle.rollout.canary_shares = shares; });
  };
  EXPECT_THAT(with({0.1, 0.5, 0.9}), IsEmpty());
  EXPECT_THAT(with({}), IsEmpty());
  EXPECT_THAT(with({0.5, 0.5}), Names("cycle.rollout.canary_shares[1]", "above the share before"));
  EXPECT_THAT(with({0.5, 0.1}), Names("cycle.rollout.canary_shares[1]", "above the share before"));
  EXPECT_THAT(with({0}), Names("cycle.rollout.canary_shares[0]", "above 0 and below 1"));
  EXPECT_THAT(with({1}), Names("cycle.rollout.canary_shares[0]", "above 0 and below 1"));
  EXPECT_THAT(with({std::numeric_limits<double>::quiet_NaN()}),
              Names("cycle.rollout.canary_shares[0]", "above 0 and below 1"));
}

TEST(TaskPoliciesTest, SharesOfTheLabelsSumToOne) {
  EXPECT_THAT(ProblemsOf([](TaskSpec& spec) {
                spec.cycle.acquire_uncertain = 0.1;
                spec.cycle.acquire_drifted = 0.2;
                spec.cycle.acquire_slice = 0.3;
                spec.cycle.acquire_random = 0.1;
                spec.cycle.acquire_diverse = 0.3;
              }),
              IsEmpty());
  EXPECT_THAT(ProblemsOf([](TaskSpec& spec) { spec.cycle.acquire_random = 0.3; }),
              Names("cycle.acquire_uncertain", "must sum to 1"));
}

TEST(TaskPoliciesTest, SomeLabelsAreLeftForTraining) {
  const auto with = [](double test, double validation) {
    return ProblemsOf([&](TaskSpec& spec) {
      spec.cycle.acquire_test = test;
      spec.cycle.acquire_validation = validation;
    });
  };
  EXPECT_THAT(with(0, 0), IsEmpty());
  EXPECT_THAT(with(0.5, 0.4), IsEmpty());
  EXPECT_THAT(with(0.5, 0.5), Names("cycle.acquire_test", "labels for training"));
  EXPECT_THAT(with(-0.1, 0.1), Names("cycle.acquire_test", "0 to 1"));
  EXPECT_THAT(with(0.1, -0.1), Names("cycle.acquire_validation", "0 to 1"));
  EXPECT_THAT(ProblemsOf([](TaskSpec& spec) { spec.cycle.review_share = 0.5; }), IsEmpty());
  EXPECT_THAT(ProblemsOf([](TaskSpec& spec) { spec.cycle.review_share = 0.6; }),
              Names("cycle.review_share", "0 to 0.5"));
}

TEST(TaskPoliciesTest, UnknownCausesAreNamedWithThoseThereAre) {
  const auto problems = ProblemsOf([](TaskSpec& spec) {
    spec.cycle.alert_causes = {"data_drift", "weather", "sensor_fault"};
  });
  EXPECT_THAT(problems, Names("cycle.alert_causes[1]", "\"weather\" is no known cause"));
  EXPECT_THAT(problems, Names("cycle.alert_causes[1]", "label_shift"));
  EXPECT_THAT(problems, Names("cycle.alert_causes[2]", "nothing that a new model cures"));
  EXPECT_EQ(problems.size(), 2U);
}

TEST(TaskPoliciesTest, WebhooksAreWebAddresses) {
  const auto with = [](const std::string& url) {
    return ProblemsOf([&](TaskSpec& spec) { spec.monitoring.webhooks = {url}; });
  };
  EXPECT_THAT(with("http://127.0.0.1:9000/alerts?x=1"), IsEmpty());
  EXPECT_THAT(with("https://hooks.example"), IsEmpty());
  for (const char* bad : {"", "hooks.example", "ftp://x", "http://", "https:///path", "http://a b",
                          "javascript:alert(1)", "http://a\nHost: b"}) {
    EXPECT_THAT(with(bad), Names("monitoring.webhooks[0]", "http:// or https://")) << bad;
  }
}

TEST(TaskPoliciesTest, SliceKeysAreFewAndDistinct) {
  EXPECT_THAT(ProblemsOf([](TaskSpec& spec) {
                for (char c = 'a'; c < 'a' + 9; ++c) spec.monitoring.slice_keys.emplace_back(1, c);
              }),
              Names("monitoring.slice_keys", "at most 8"));
  EXPECT_THAT(ProblemsOf([](TaskSpec& spec) {
                spec.gate.slice_keys = {"a", "a"};
              }),
              Names("gate.slice_keys", "stands there twice"));
  EXPECT_THAT(ProblemsOf([](TaskSpec& spec) { spec.gate.slice_keys = {"a=b"}; }),
              Names("gate.slice_keys[0]", "equals sign"));
}

TEST(TaskPoliciesTest, ModelTestsSayWhatTheyNeed) {
  const auto with = [](const ModelTest& test) {
    return ProblemsOf([&](TaskSpec& spec) { spec.gate.tests = {test}; });
  };
  const ModelTest invariance = {"night", ModelTestKind::kInvariance, "", "", "darken", 0.2, 0.95};
  EXPECT_THAT(with(invariance), IsEmpty());

  ModelTest bad = invariance;
  bad.transform = "paint";
  EXPECT_THAT(with(bad), Names("gate.tests[0].transform", "brighten, darken, shift, blur, noise"));
  bad = invariance;
  bad.amount = 2;
  EXPECT_THAT(with(bad), Names("gate.tests[0].amount", "at most 1"));
  bad = invariance;
  bad.min_share = 1.5;
  EXPECT_THAT(with(bad), Names("gate.tests[0].min_share", "0 to 1"));
  const ModelTest minimum = {"stop", ModelTestKind::kMinimumFunction, "", "", "", 0, 1};
  EXPECT_THAT(with(minimum), Names("gate.tests[0].metadata_key", "is needed"));
  EXPECT_THAT(ProblemsOf([&](TaskSpec& spec) {
                spec.gate.tests = {invariance, invariance};
              }),
              Names("gate.tests[1].name", "twice"));
}

TEST(TaskPoliciesTest, NumbersHaveTheirRanges) {
  EXPECT_THAT(ProblemsOf([](TaskSpec& spec) { spec.capture.random_share = 1.1; }),
              Names("capture.random_share", "0 (off) to 1"));
  EXPECT_THAT(ProblemsOf([](TaskSpec& spec) { spec.capture.out_of_distribution_quantile = 1; }),
              Names("capture.out_of_distribution_quantile", "below 1"));
  EXPECT_THAT(ProblemsOf([](TaskSpec& spec) { spec.gate.alpha = 0; }),
              Names("gate.alpha", "above 0"));
  EXPECT_THAT(ProblemsOf([](TaskSpec& spec) { spec.monitoring.max_false_alarms = 0; }),
              Names("monitoring.max_false_alarms", "above 0"));
  EXPECT_THAT(ProblemsOf([](TaskSpec& spec) { spec.cycle.max_labels = 0; }),
              Names("cycle.max_labels", "1 to 10000"));
  EXPECT_THAT(ProblemsOf([](TaskSpec& spec) { spec.cycle.sign_off_roles = {"Safety"}; }),
              Names("cycle.sign_off_roles[0]", "a letter first"));
  EXPECT_THAT(ProblemsOf([](TaskSpec& spec) { spec.cycle.rollout.max_latency_ratio = 0.5; }),
              Names("cycle.rollout.max_latency_ratio", "1 to 1000"));
}

}  // namespace
}  // namespace tidewheel::model_registry
