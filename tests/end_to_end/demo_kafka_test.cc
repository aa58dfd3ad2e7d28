#include <gtest/gtest.h>

#include "tidewheel/tests/platform/reports.h"

namespace tidewheel::tests {
namespace {

class DemoOnKafkaTest : public PlatformTest {
 protected:
  void SetUp() override {
    PlatformOptions options;
    options.kafka = true;
    StartPlatform(options);
  }
};

TEST_F(DemoOnKafkaTest, TellsTheSameStoryOnARealBroker) {
  ASSERT_NE(platform_, nullptr);
  const auto demo = RunDemo(*platform_, {"--bus", "kafka"}, std::chrono::seconds(200));

  ASSERT_EQ(demo.program.status, 0) << demo.program.output << demo.program.errors;
  // Predictions and outcomes have come to monitoring through the broker.
  EXPECT_GT(demo.figures.at("demo.monitoring.accuracy").value_or(0), 0.8);
  for (const char* schema : {"registry", "ingestion", "labeling", "curation", "training"}) {
    const auto waiting = platform_->Ask("SELECT count(*) FROM " + std::string(schema) + ".outbox");
    ASSERT_TRUE(waiting.ok()) << waiting.error().message;
  }
}

}  // namespace
}  // namespace tidewheel::tests
