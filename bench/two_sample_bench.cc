// Exact Kolmogorov-Smirnov and Wasserstein of 1,000,000 rows against as many, 50 features, beside
// reading them once and beside sorting them, which neither needs to do in full.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <span>
#include <vector>

#include "feature_table.h"
#include "stream_read.h"
#include "tidewheel/base/random.h"
#include "tidewheel/stats/distances.h"
#include "tidewheel/stats/drift_verdict.h"
#include "tidewheel/stats/sort_numbers.h"
#include "tidewheel/stats/two_sample.h"

namespace tidewheel {
namespace {

constexpr std::size_t kRows = 1'000'000;
constexpr std::size_t kFeatures = 50;

std::vector<float> Columns(std::uint64_t seed, double width) {
  return FeatureTable(kRows, kFeatures, seed, width);
}

const std::vector<float>& Reference() {
  static const std::vector<float> made = Columns(1, 1);
  return made;
}
const std::vector<float>& Current() {
  static const std::vector<float> made = Columns(2, 1.001);
  return made;
}

std::span<const float> Column(const std::vector<float>& columns, std::size_t feature) {
  return std::span<const float>(columns).subspan(feature * kRows, kRows);
}

void ExactKolmogorovSmirnov(benchmark::State& state) {
  const auto& reference = Reference();
  const auto& current = Current();
  for (auto _ : state) {
    for (std::size_t feature = 0; feature < kFeatures; ++feature) {
      benchmark::DoNotOptimize(
          stats::KolmogorovSmirnov(Column(reference, feature), Column(current, feature))->p_value);
    }
  }
}

void ExactWasserstein(benchmark::State& state) {
  const auto& reference = Reference();
  const auto& current = Current();
  for (auto _ : state) {
    for (std::size_t feature = 0; feature < kFeatures; ++feature) {
      benchmark::DoNotOptimize(
          stats::Wasserstein(Column(reference, feature), Column(current, feature)).value());
    }
  }
}

/// Both samples of each feature.
void Sort(benchmark::State& state) {
  const auto& reference = Reference();
  const auto& current = Current();
  std::vector<float> values(kRows);
  for (auto _ : state) {
    for (const auto* columns : {&reference, &current}) {
      for (std::size_t feature = 0; feature < kFeatures; ++feature) {
        const auto column = Column(*columns, feature);
        values.assign(column.begin(), column.end());
        stats::SortNumbers(std::span<float>(values));
        benchmark::DoNotOptimize(values.data());
      }
    }
  }
}

void Read(benchmark::State& state) {
  const auto& reference = Reference();
  const auto& current = Current();
  for (auto _ : state) {
    benchmark::DoNotOptimize(bench::StreamRead(std::as_bytes(std::span(reference))));
    benchmark::DoNotOptimize(bench::StreamRead(std::as_bytes(std::span(current))));
  }
}

/// One feature of 10,000 rows against 2,000: sorting, the threshold and the interval.
void Verdict(benchmark::State& state) {
  Random random(3);
  std::vector<double> reference(10'000);
  std::vector<double> current(2'000);
  for (double& value : reference) value = random.Normal();
  for (double& value : current) value = random.Normal();
  for (auto _ : state) {
    benchmark::DoNotOptimize(stats::NumericDrift(reference, current)->drifted);
  }
}

BENCHMARK(ExactKolmogorovSmirnov)->Name("ks_exact")->Unit(benchmark::kMillisecond);
BENCHMARK(ExactWasserstein)->Name("wasserstein_exact")->Unit(benchmark::kMillisecond);
BENCHMARK(Sort)->Name("sort")->Unit(benchmark::kMillisecond);
BENCHMARK(Read)->Name("read")->Unit(benchmark::kMillisecond);
BENCHMARK(Verdict)->Name("verdict")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tidewheel
