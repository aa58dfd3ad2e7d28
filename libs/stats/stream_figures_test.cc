// First detections on ../shared/data/drift_vectors, as its README and the design name them.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tidewheel/stats/adwin.h"
#include "tidewheel/stats/cusum.h"
#include "tidewheel/stats/error_rate_detectors.h"
#include "tidewheel/stats/hddm.h"
#include "tidewheel/stats/stream_detector.h"

namespace tidewheel::stats {
namespace {

class DriftVectorsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (Values("four_segments").empty()) GTEST_SKIP() << "no data at TIDEWHEEL_DATA";
  }

  static std::vector<double> Values(const std::string& name) {
    const char* folder = std::getenv("TIDEWHEEL_DATA");
    const char* source = std::getenv("TIDEWHEEL_SOURCE_DIR");
    const std::filesystem::path data =
        folder != nullptr
            ? folder
            : std::filesystem::path(source != nullptr ? source : ".") / "../shared/data";
    std::ifstream file(data / "drift_vectors" / (name + ".csv"));
    std::string header;
    std::getline(file, header);
    std::vector<double> values;
    for (double value = 0; file >> value;) values.push_back(value);
    return values;
  }

  template <typename D>
  static std::vector<std::uint64_t> Drifts(const typename D::Options& options,
                                           const std::vector<double>& values) {
    auto detector = *D::Make(options);
    std::vector<std::uint64_t> drifts;
    const auto events = *FindEvents(detector, values);
    for (const StreamEvent& event : events) {
      if (event.state == StreamState::kDrift) drifts.push_back(event.index);
    }
    return drifts;
  }
};

TEST_F(DriftVectorsTest, AStepIsSeenByAdwinAndPageHinkley) {
  const auto values = Values("step_0_1_to_4_7");

  EXPECT_EQ(Drifts<Adwin>({}, values).at(0), 1'023U);
  EXPECT_EQ(Drifts<PageHinkley>({}, values).at(0), 1'006U);
}

TEST_F(DriftVectorsTest, AdwinSeesEachOfThreeChangesOnce) {
  EXPECT_EQ(Drifts<Adwin>({}, Values("four_segments")),
            (std::vector<std::uint64_t>{1'023, 2'015, 3'007}));
}

TEST_F(DriftVectorsTest, DdmWarnsAndAlarmsAndWarnsAgain) {
  auto ddm = *Ddm::Make();
  const auto events = *FindEvents(ddm, Values("bernoulli_050_to_070"));
  ASSERT_GE(events.size(), 3U);

  EXPECT_EQ(events.front(), (StreamEvent{1'084, StreamState::kWarning}));
  std::vector<StreamEvent> from_drift;
  for (const StreamEvent& event : events) {
    if (!from_drift.empty() || event.state == StreamState::kDrift) from_drift.push_back(event);
  }
  ASSERT_GE(from_drift.size(), 2U);
  EXPECT_EQ(from_drift[0], (StreamEvent{1'334, StreamState::kDrift}));
  EXPECT_EQ(from_drift[1], (StreamEvent{1'492, StreamState::kWarning}));
}

TEST_F(DriftVectorsTest, HddmWSeesTheErrorRateRise) {
  EXPECT_EQ(Drifts<HddmW>({}, Values("bernoulli_050_to_070")).at(0), 1'077U);
}

/// The published indices count from 1, and are the first after the change: some alarm before it.
TEST_F(DriftVectorsTest, ABigStepIsSeenWithinFiveValues) {
  const auto values = Values("step_0_1_to_6_11");
  const auto first_after = [](const std::vector<std::uint64_t>& drifts) {
    for (const std::uint64_t index : drifts) {
      if (index >= 1'000) return index + 1;
    }
    return std::uint64_t{0};
  };

  EXPECT_EQ(first_after(Drifts<Cusum>({}, values)), 1'005U);
  EXPECT_EQ(first_after(Drifts<Ddm>({.only_rates = false}, values)), 1'004U);
  EXPECT_EQ(first_after(Drifts<EwmaChart>({.only_rates = false}, values)), 1'001U);
  EXPECT_EQ(first_after(Drifts<HddmA>({.only_rates = false}, values)), 1'004U);
  EXPECT_EQ(first_after(Drifts<HddmW>({.only_rates = false}, values)), 1'001U);
}

}  // namespace
}  // namespace tidewheel::stats
