// Each stream detector over a million errors of a steady rate, beside reading these once.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stream_read.h"
#include "tidewheel/base/random.h"
#include "tidewheel/stats/stream_calibration.h"
#include "tidewheel/stats/stream_detector.h"

namespace tidewheel {
namespace {

constexpr std::size_t kErrors = 1'000'000;
constexpr std::size_t kTested = 100'000;  // Of KSWIN, which makes a test of every value.

const std::vector<double>& Errors() {
  static const std::vector<double> made = [] {
    Random random(1);
    std::vector<double> values(kErrors);
    for (double& value : values) value = random.Uniform() < 0.2 ? 1 : 0;
    return values;
  }();
  return made;
}

void Detector(benchmark::State& state, stats::DetectorKind kind) {
  const std::span<const double> all = Errors();
  const auto values = all.first(kind == stats::DetectorKind::kKswin ? kTested : kErrors);
  std::uint64_t drifts = 0;
  for (auto _ : state) {
    const auto detector = stats::MakeDetector(kind);
    for (const double value : values) {
      drifts += *detector->Update(value) == stats::StreamState::kDrift ? 1 : 0;
    }
  }
  benchmark::DoNotOptimize(drifts);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(values.size()));
}

void Read(benchmark::State& state) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(Errors()));
  for (auto _ : state) benchmark::DoNotOptimize(bench::StreamRead(bytes));
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kErrors));
}

/// ADWIN, to one false alarm in 5,000 values, on a reference of 5,000.
void Calibration(benchmark::State& state) {
  const auto reference = std::span<const double>(Errors()).first(5'000);
  for (auto _ : state) {
    const auto calibration = stats::CalibrateThreshold(
        reference, stats::OpenThreshold(stats::DetectorKind::kAdwin), {.values_per_alarm = 5'000});
    benchmark::DoNotOptimize(calibration->threshold);
  }
}

void RegisterAll() {
  using stats::DetectorKind;
  for (const DetectorKind kind :
       {DetectorKind::kAdwin, DetectorKind::kDdm, DetectorKind::kEddm, DetectorKind::kHddmA,
        DetectorKind::kHddmW, DetectorKind::kPageHinkley, DetectorKind::kKswin,
        DetectorKind::kCusum, DetectorKind::kEwma}) {
    benchmark::RegisterBenchmark(std::string(stats::Name(kind)).c_str(), Detector, kind)
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::RegisterBenchmark("read", Read)->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("calibration", Calibration)->Unit(benchmark::kMillisecond);
}

}  // namespace
}  // namespace tidewheel

int main(int argc, char** argv) {
  tidewheel::RegisterAll();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
