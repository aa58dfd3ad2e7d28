#include "tidewheel/model_registry/domain/gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/model_registry/domain/audit.h"
#include "tidewheel/model_registry/domain/fake_stores.h"

namespace tidewheel::model_registry {
namespace {

TaskSpec Bar(double primary, double recall) {
  TaskSpec spec = GoodSpec();
  spec.gate.min_primary_metric = primary;
  spec.gate.min_class_recall = recall;
  return spec;
}

const std::map<std::string, double> kMetrics = {{"balanced_accuracy", 0.95},
                                                {"recall.red", 0.99},
                                                {"recall.yellow", 0.88},
                                                {"recall.green", 0.98}};

TEST(GateTest, PassesWhenEveryBarIsReached) {
  EXPECT_TRUE(Passed(EvaluateGate(Bar(0.95, 0.88), kMetrics)));
}

TEST(GateTest, NamesTheWeakestClass) {
  const auto criteria = EvaluateGate(Bar(0.9, 0.9), kMetrics);

  EXPECT_FALSE(Passed(criteria));
  EXPECT_THAT(DescribeFailures(criteria), testing::HasSubstr("recall of yellow is 0.8800"));
}

TEST(GateTest, AMissingMetricNeverPasses) {
  const auto criteria = EvaluateGate(Bar(0, 0), {});

  EXPECT_FALSE(Passed(criteria));
  for (const auto& criterion : criteria) {
    EXPECT_EQ(criterion.verdict, GateVerdict::kNotEvaluated);
    EXPECT_FALSE(criterion.reason.empty());
  }
}

TEST(AuditTest, DifferentEntriesGiveDifferentBytes) {
  AuditEntry a;
  a.actor = "ann";
  a.action = "x";
  AuditEntry b;
  b.actor = "an";
  b.action = "nx";
  EXPECT_NE(HashedBytes(a), HashedBytes(b));
}

TEST(AuditTest, JsonIsCanonical) {
  EXPECT_EQ(CanonicalJson({{"b", "2\n"}, {"a", "\"1\""}}),
            "{\"a\":\"\\\"1\\\"\",\"b\":\"2\\u000a\"}");
}

}  // namespace
}  // namespace tidewheel::model_registry
