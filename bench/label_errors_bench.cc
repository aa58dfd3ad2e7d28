// Label errors in 1,000,000 x 1,000 and 50,000 x 10 probabilities, beside reading these once.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "stream_read.h"
#include "tidewheel/base/random.h"
#include "tidewheel/labels/label_errors.h"

namespace tidewheel {
namespace {

template <typename T>
struct Labeled {
  std::vector<T> probabilities;
  std::vector<std::int32_t> labels;

  MatrixView<T> View() const {
    return {probabilities, labels.size(), probabilities.size() / labels.size()};
  }
  std::span<const std::byte> Bytes() const { return std::as_bytes(std::span(probabilities)); }
};

/// A model that is right in nineteen rows of twenty, on the whole confidently, and labels of which
/// one of ten was replaced.
template <typename T>
Labeled<T> RandomLabeled(std::size_t rows, std::size_t classes) {
  Random random(1);
  Labeled<T> made;
  made.probabilities.resize(rows * classes);
  made.labels.resize(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t truth = random.Below(classes);
    const std::size_t answer = random.Uniform() < 0.95 ? truth : random.Below(classes);
    made.labels[i] =
        static_cast<std::int32_t>(random.Uniform() < 0.9 ? truth : random.Below(classes));
    const double top = 0.2 + 0.8 * std::sqrt(random.Uniform());
    T* row = made.probabilities.data() + i * classes;
    double rest = 0;
    for (std::size_t k = 0; k < classes; k += 2) {
      const std::uint64_t bits = random.Next();
      row[k] = static_cast<T>(bits & 0xFFFFFF);
      rest += static_cast<double>(row[k]);
      if (k + 1 == classes) break;
      row[k + 1] = static_cast<T>(bits >> 40);
      rest += static_cast<double>(row[k + 1]);
    }
    rest -= static_cast<double>(row[answer]);
    const auto scale = static_cast<T>((1 - top) / rest);
    for (std::size_t k = 0; k < classes; ++k) row[k] *= scale;
    row[answer] = static_cast<T>(top);
  }
  return made;
}

/// Four gigabytes: made once, when first asked for.
const Labeled<float>& Large() {
  static const Labeled<float> made = RandomLabeled<float>(1'000'000, 1'000);
  return made;
}
const Labeled<double>& Small() {
  static const Labeled<double> made = RandomLabeled<double>(50'000, 10);
  return made;
}

template <typename T>
void Read(benchmark::State& state, const Labeled<T>& made) {
  const auto bytes = made.Bytes();
  for (auto _ : state) benchmark::DoNotOptimize(bench::StreamRead(bytes));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}

template <typename T>
void Find(benchmark::State& state, const Labeled<T>& made,
          const labels::LabelErrorOptions& options) {
  for (auto _ : state) {
    const auto found = labels::FindLabelErrors(made.View(), made.labels, options);
    benchmark::DoNotOptimize(found->issues.rows.data());
    state.counters["issues"] = static_cast<double>(found->issues.rows.size());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(made.Bytes().size()));
}

/// The default method, which ranks, and the one that needs the joint alone.
constexpr auto kPruning = labels::LabelErrorMethod::kPruneByNoiseRate;
constexpr auto kConfident = labels::LabelErrorMethod::kConfidentLearning;

template <labels::LabelErrorMethod kMethod, std::uint32_t kThreads>
void FindSmall(benchmark::State& state) {
  Find(state, Small(), {.method = kMethod, .threads = kThreads});
}
template <labels::LabelErrorMethod kMethod, std::uint32_t kThreads>
void FindLarge(benchmark::State& state) {
  Find(state, Large(), {.method = kMethod, .threads = kThreads});
}
void ReadSmall(benchmark::State& state) { Read(state, Small()); }
void ReadLarge(benchmark::State& state) { Read(state, Large()); }

void Timed(benchmark::internal::Benchmark* bench) {
  bench->Unit(benchmark::kMillisecond)->UseRealTime();
}

BENCHMARK(ReadSmall)->Name("50k_x_10_read")->Apply(Timed);
BENCHMARK(FindSmall<kPruning, 1>)->Name("50k_x_10_pruning")->Apply(Timed);
BENCHMARK(FindSmall<kConfident, 1>)->Name("50k_x_10_confident")->Apply(Timed);
BENCHMARK(ReadLarge)->Name("1m_x_1000_read")->Apply(Timed);
BENCHMARK(FindLarge<kPruning, 1>)->Name("1m_x_1000_pruning")->Apply(Timed);
BENCHMARK(FindLarge<kPruning, 2>)->Name("1m_x_1000_pruning_2_threads")->Apply(Timed);
BENCHMARK(FindLarge<kConfident, 1>)->Name("1m_x_1000_confident")->Apply(Timed);
BENCHMARK(FindLarge<kConfident, 2>)->Name("1m_x_1000_confident_2_threads")->Apply(Timed);

}  // namespace
}  // namespace tidewheel
