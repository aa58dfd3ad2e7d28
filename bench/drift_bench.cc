// One window of 1,000,000 rows x 50 features (200 MB of float32, column by column) against the
// stored profile of a reference, beside reading the window once; and what summaries take in.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "feature_table.h"
#include "stream_read.h"
#include "tidewheel/base/random.h"
#include "tidewheel/stats/distinct_count.h"
#include "tidewheel/stats/drift_profile.h"
#include "tidewheel/stats/fixed_histogram.h"
#include "tidewheel/stats/frequent_items.h"
#include "tidewheel/stats/moments.h"
#include "tidewheel/stats/quantile_sketch.h"

namespace tidewheel {
namespace {

constexpr std::size_t kRows = 1'000'000;
constexpr std::size_t kFeatures = 50;

std::vector<float> Table(std::uint64_t seed, double width) {
  return FeatureTable(kRows, kFeatures, seed, width);
}

std::vector<std::span<const float>> Columns(const std::vector<float>& table) {
  std::vector<std::span<const float>> columns;
  for (std::size_t i = 0; i < kFeatures; ++i) {
    columns.push_back(std::span<const float>(table).subspan(i * kRows, kRows));
  }
  return columns;
}

const std::vector<float>& Window() {
  static const std::vector<float> made = Table(2, 1.001);
  return made;
}

const stats::DriftProfile& Reference() {
  static const stats::DriftProfile made = [] {
    const auto table = Table(1, 1);
    return *stats::DriftProfile::OfReference(Columns(table));
  }();
  return made;
}

void Read(benchmark::State& state) {
  const auto bytes = std::as_bytes(std::span(Window()));
  for (auto _ : state) benchmark::DoNotOptimize(bench::StreamRead(bytes));
}

/// Everything that a window is asked: counted, and compared with the reference.
template <unsigned kThreads>
void Drift(benchmark::State& state) {
  const auto& reference = Reference();
  const auto columns = Columns(Window());
  for (auto _ : state) {
    auto window = reference.Empty();
    if (!window.Add(columns, kThreads).ok()) return state.SkipWithError("the window was refused");
    const auto drifts = stats::CompareProfiles(reference, window);
    benchmark::DoNotOptimize(drifts->front()->psi);
  }
}

void DriftRows(benchmark::State& state) {
  const auto& reference = Reference();
  const auto& window = Window();
  std::vector<float> rows(window.size());
  for (std::size_t i = 0; i < kFeatures; ++i) {
    for (std::size_t row = 0; row < kRows; ++row)
      rows[row * kFeatures + i] = window[i * kRows + row];
  }
  for (auto _ : state) {
    auto counted = reference.Empty();
    if (!counted.AddRows({rows, kRows, kFeatures}).ok()) {
      return state.SkipWithError("the window was refused");
    }
    const auto drifts = stats::CompareProfiles(reference, counted);
    benchmark::DoNotOptimize(drifts->front()->psi);
  }
}

void OfReference(benchmark::State& state) {
  const auto columns = Columns(Window());
  for (auto _ : state) {
    benchmark::DoNotOptimize(stats::DriftProfile::OfReference(columns)->columns().data());
  }
}

void Moments(benchmark::State& state) {
  const auto columns = Columns(Window());
  for (auto _ : state) {
    for (const auto column : columns) {
      stats::Moments moments;
      if (!moments.Add(column).ok()) return state.SkipWithError("a column was refused");
      benchmark::DoNotOptimize(moments.count());
    }
  }
}

/// One column into a summary; all of these count items a second.
template <typename Add>
void Take(benchmark::State& state, Add add) {
  const auto column = std::span<const float>(Window()).first(kRows);
  for (auto _ : state) add(column);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kRows));
}

void Quantiles(benchmark::State& state) {
  Take(state, [](std::span<const float> column) {
    auto sketch = *stats::QuantileSketch::Create();
    benchmark::DoNotOptimize(sketch.Add(column).ok());
  });
}

void Histogram(benchmark::State& state) {
  Take(state, [](std::span<const float> column) {
    auto histogram = *stats::FixedHistogram::Uniform(-5, 5, 100);
    benchmark::DoNotOptimize(histogram.Add(column).ok());
  });
}

void Distinct(benchmark::State& state) {
  Take(state, [](std::span<const float> column) {
    auto count = *stats::DistinctCount::WithPrecision();
    for (const float value : column) count.Add(static_cast<double>(value));
    benchmark::DoNotOptimize(count.Estimate());
  });
}

void Frequent(benchmark::State& state) {
  std::vector<std::string> names;
  Random random(3);
  for (int i = 0; i < 10'000; ++i) {
    const auto rank = static_cast<std::uint64_t>(std::pow(1 - random.Uniform(), -1.2));
    names.push_back("item-" + std::to_string(rank));
  }
  Take(state, [&](std::span<const float> column) {
    auto frequent = *stats::FrequentItems::WithCapacity();
    for (std::size_t i = 0; i < column.size(); ++i) {
      benchmark::DoNotOptimize(frequent.Add(names[i % names.size()]).ok());
    }
  });
}

// In real time: with two threads the time of the caller alone says nothing.
BENCHMARK(Read)->Name("read")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(Drift<1>)->Name("drift_1_thread")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(Drift<2>)->Name("drift_2_threads")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(DriftRows)->Name("drift_rows")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(OfReference)->Name("of_reference")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(Moments)->Name("moments")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(Quantiles)->Name("quantiles")->Unit(benchmark::kMillisecond);
BENCHMARK(Histogram)->Name("histogram")->Unit(benchmark::kMillisecond);
BENCHMARK(Distinct)->Name("distinct")->Unit(benchmark::kMillisecond);
BENCHMARK(Frequent)->Name("frequent")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tidewheel
