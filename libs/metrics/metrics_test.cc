#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tidewheel/metrics/exposer.h"
#include "tidewheel/metrics/process.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/testing/http_get.h"

namespace tidewheel::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(RegistryTest, InstrumentsCountUnderTheirNamesAndLabels) {
  Registry registry("test");
  auto& accepted =
      registry.Counter("tidewheel_test_samples_total", "Samples.", {{"verdict", "ok"}});
  auto& refused =
      registry.Counter("tidewheel_test_samples_total", "Samples.", {{"verdict", "bad"}});
  accepted.Add();
  accepted.Add(2);
  refused.Add();
  registry.Gauge("tidewheel_test_queue_requests", "Waiting.").Set(7);
  auto& seconds = registry.Histogram("tidewheel_test_call_seconds", "Calls.", {}, {0.1, 1});
  seconds.Observe(0.05);
  seconds.Observe(0.5);
  seconds.Observe(5);

  const std::string text = registry.Text();
  EXPECT_THAT(text, HasSubstr("tidewheel_test_samples_total{verdict=\"ok\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("tidewheel_test_samples_total{verdict=\"bad\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("tidewheel_test_queue_requests 7\n"));
  EXPECT_THAT(text, HasSubstr("tidewheel_test_call_seconds_bucket{le=\"0.1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("tidewheel_test_call_seconds_bucket{le=\"1\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("tidewheel_test_call_seconds_bucket{le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("tidewheel_test_call_seconds_count 3\n"));
}

TEST(RegistryTest, TheSameNameAndLabelsAreTheSameInstrument) {
  Registry registry("test");
  EXPECT_EQ(&registry.Counter("tidewheel_test_samples_total", "Samples."),
            &registry.Counter("tidewheel_test_samples_total", "Samples."));
}

TEST(RegistryTest, NamesFollowTheRules) {
  EXPECT_TRUE(CheckMetricName(MetricKind::kCounter, "tidewheel_ingestion_records_accepted_total"));
  EXPECT_TRUE(CheckMetricName(MetricKind::kHistogram, "tidewheel_inference_predict_seconds"));
  EXPECT_TRUE(CheckMetricName(MetricKind::kGauge, "tidewheel_monitoring_accuracy_ratio"));
  EXPECT_FALSE(CheckMetricName(MetricKind::kCounter, "tidewheel_ingestion_records"));
  EXPECT_FALSE(CheckMetricName(MetricKind::kGauge, "tidewheel_ingestion_records_total"));
  EXPECT_FALSE(CheckMetricName(MetricKind::kGauge, "tidewheel_monitoring_accuracy"));
  EXPECT_FALSE(CheckMetricName(MetricKind::kCounter, "ingestion_records_accepted_total"));
  EXPECT_FALSE(CheckMetricName(MetricKind::kCounter, "tidewheel_Ingestion_records_total"));
  EXPECT_FALSE(CheckMetricName(MetricKind::kCounter, "tidewheel_ingestion__records_total"));
}

TEST(RegistryDeathTest, MistakesInTheCodeEndTheProcess) {
  Registry registry("test");
  registry.Counter("tidewheel_test_samples_total", "Samples.", {{"verdict", "ok"}});
  EXPECT_DEATH(registry.Counter("samples", "Samples."), "tidewheel_<service>_<thing>_<unit>|lower");
  EXPECT_DEATH(registry.Counter("tidewheel_test_samples_total", "Samples.", {{"task", "x"}}),
               "has other labels already");
  EXPECT_DEATH(registry.Histogram("tidewheel_test_call_seconds", "Calls.", {}, {2, 1}), "rise");
  EXPECT_DEATH(registry.Counter("tidewheel_test_other_total", "Other.", {{"le", "x"}}), "label");
}

TEST(GaugeFamilyTest, SeriesComeAndGo) {
  Registry registry("test");
  auto& family = registry.Gauges("tidewheel_test_accuracy_ratio", "Accuracy.", {"task", "class"});
  EXPECT_TRUE(family.Set({"traffic", "red"}, 0.5));
  EXPECT_TRUE(family.Set({"traffic", "red"}, 0.75));
  EXPECT_TRUE(family.Set({"traffic", "ye\"llow\n"}, 0.25));
  EXPECT_TRUE(family.Set({"fashion", "shoe"}, 1));

  EXPECT_THAT(registry.Text(),
              HasSubstr("tidewheel_test_accuracy_ratio{task=\"traffic\",class=\"red\"} 0.75\n"));
  EXPECT_THAT(registry.Text(), HasSubstr("class=\"ye\\\"llow\\n\"} 0.25\n"));
  EXPECT_EQ(family.RemoveWhere("task", "traffic"), 2U);
  family.Remove({"fashion", "nothing"});
  EXPECT_EQ(family.size(), 1U);
  EXPECT_THAT(registry.Text(), Not(HasSubstr("traffic")));
}

TEST(GaugeFamilyTest, AFullFamilyRefusesAndCountsIt) {
  Registry registry("test");
  auto& family = registry.Gauges("tidewheel_test_accuracy_ratio", "Accuracy.", {"task"}, 2);
  EXPECT_TRUE(family.Set({"a"}, 1));
  EXPECT_TRUE(family.Set({"b"}, 1));
  EXPECT_FALSE(family.Set({"c"}, 1));
  EXPECT_TRUE(family.Set({"a"}, 2));
  EXPECT_THAT(registry.Text(), HasSubstr("tidewheel_metrics_refused_series_total 1\n"));
}

TEST(CallbackTest, IsAskedAtEachScrapeUntilItEnds) {
  Registry registry("test");
  double value = 3;
  {
    const auto registration = registry.Callback("tidewheel_test_queue_requests", "Waiting.",
                                                {{"queue", "a"}}, [&] { return value; });
    EXPECT_THAT(registry.Text(), HasSubstr("tidewheel_test_queue_requests{queue=\"a\"} 3\n"));
    value = 4;
    EXPECT_THAT(registry.Text(), HasSubstr("tidewheel_test_queue_requests{queue=\"a\"} 4\n"));
  }
  EXPECT_THAT(registry.Text(), Not(HasSubstr("tidewheel_test_queue_requests")));
}

TEST(CallbackTest, NeverRunsAfterItsEndWhileScrapesGoOn) {
  Registry registry("test");
  std::atomic<bool> done{false};
  std::jthread scraper([&] {
    while (!done) (void)registry.Text();
  });
  for (int i = 0; i < 200; ++i) {
    auto alive = std::make_unique<std::atomic<bool>>(true);
    {
      const auto registration =
          registry.Callback("tidewheel_test_queue_requests", "Waiting.", {}, [&alive] {
            EXPECT_TRUE(alive->load());
            return 1.0;
          });
      std::this_thread::yield();
    }
    alive->store(false);
  }
  done = true;
}

TEST(ExposerTest, MetricsAreScrapedOverHttp) {
  Registry registry("test");
  registry.Counter("tidewheel_test_samples_total", "Samples.").Add(5);
  const auto exposer = Exposer::Start("127.0.0.1:0", registry);
  ASSERT_TRUE(exposer.ok()) << exposer.error().message;
  EXPECT_THAT((*exposer)->address(), Not(HasSubstr(":0")));

  const std::string answer = testing::HttpGet((*exposer)->address(), "/metrics");
  EXPECT_THAT(answer, HasSubstr("200 OK"));
  EXPECT_THAT(answer, HasSubstr("tidewheel_test_samples_total 5\n"));
  EXPECT_THAT(answer, HasSubstr("tidewheel_build_info{"));
  EXPECT_THAT(answer, HasSubstr("process_resident_memory_bytes"));
  EXPECT_THAT(testing::HttpGet((*exposer)->address(), "/other"), HasSubstr("404"));
}

TEST(ExposerTest, AnAddressInUseIsNamed) {
  Registry registry("test");
  const auto first = Exposer::Start("127.0.0.1:0", registry);
  ASSERT_TRUE(first.ok());
  const auto second = Exposer::Start((*first)->address(), registry);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(second.error().message, HasSubstr((*first)->address()));
}

TEST(ExposerTest, AnAddressOfAnotherFormIsRefused) {
  Registry registry("test");
  for (const char* address : {"", "9090", "127.0.0.1:", ":0", "127.0.0.1:70000", "127.0.0.1:0s",
                              "127.0.0.1:0,127.0.0.1:0"}) {
    const auto exposer = Exposer::Start(address, registry);
    ASSERT_FALSE(exposer.ok()) << address;
    EXPECT_EQ(exposer.error().code, ErrorCode::kInvalidArgument) << address;
  }
}

TEST(ProcessTest, TheKernelKnowsThisProcess) {
  const ProcessUsage usage = ReadProcessUsage();
  EXPECT_GT(usage.resident_bytes, 1e6);
  EXPECT_GT(usage.virtual_bytes, usage.resident_bytes);
  EXPECT_GE(usage.threads, 1);
  EXPECT_GE(usage.open_files, 3);
  EXPECT_GT(usage.max_files, usage.open_files);
  const double now = static_cast<double>(std::time(nullptr));
  EXPECT_NEAR(usage.start_seconds, now, 600);
}

}  // namespace
}  // namespace tidewheel::metrics
