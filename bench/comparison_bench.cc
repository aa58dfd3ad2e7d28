#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/sequential_test.h"

namespace tidewheel::bench {
namespace {

constexpr std::uint64_t kCanaries = 200;
constexpr std::uint64_t kOutcomes = 20'000;  // Of the candidate, at most, in one canary.

struct Canaries {
  double passed = 0;
  double failed = 0;
  double median_samples = 0;  // Of the candidate, until the decision; undecided ones took them all.
};

/// Seeded canaries, each looked at after every outcome until it decides; alpha .05, margin 0.
Canaries Run(double baseline, double candidate, std::uint32_t split) {
  Canaries canaries;
  std::vector<std::uint64_t> after;
  for (std::uint64_t run = 0; run < kCanaries; ++run) {
    auto test = *stats::CanaryTest::Make({.baseline_per_candidate = split});
    Random random(1'000 + run);
    std::uint64_t i = 0;
    while (i < kOutcomes && test.decision() == stats::Answer::kInconclusive) {
      for (std::uint32_t j = 0; j < split; ++j) test.AddBaseline(random.Uniform() < baseline);
      test.AddCandidate(random.Uniform() < candidate);
      ++i;
    }
    canaries.passed += test.decision() == stats::Answer::kPass ? 1 : 0;
    canaries.failed += test.decision() == stats::Answer::kFail ? 1 : 0;
    after.push_back(i);
  }
  std::sort(after.begin(), after.end());
  canaries.median_samples =
      static_cast<double>(after[kCanaries / 2 - 1] + after[kCanaries / 2]) / 2;
  return canaries;
}

void Report(benchmark::State& state, double baseline, double candidate, std::uint32_t split) {
  Canaries canaries;
  for (auto _ : state) canaries = Run(baseline, candidate, split);
  state.counters["passed"] = canaries.passed;
  state.counters["failed"] = canaries.failed;
  state.counters["decided"] = canaries.passed + canaries.failed;
  state.counters["median_samples"] = canaries.median_samples;
}

void FivePointsWorse(benchmark::State& state) { Report(state, 0.9, 0.85, 1); }
BENCHMARK(FivePointsWorse)->Name("five_points_worse")->Unit(benchmark::kMillisecond);

void FivePointsWorseOfATenth(benchmark::State& state) { Report(state, 0.9, 0.85, 9); }
BENCHMARK(FivePointsWorseOfATenth)
    ->Name("five_points_worse_of_a_tenth")
    ->Unit(benchmark::kMillisecond);

void EqualModels(benchmark::State& state) { Report(state, 0.9, 0.9, 1); }
BENCHMARK(EqualModels)->Name("equal_models")->Unit(benchmark::kMillisecond)->Iterations(1);

/// One outcome of each arm, with its look.
void Pair(benchmark::State& state) {
  auto test = *stats::CanaryTest::Make();
  Random random(1);
  for (auto _ : state) {
    test.AddBaseline(random.Uniform() < 0.9);
    test.AddCandidate(random.Uniform() < 0.9);
    benchmark::DoNotOptimize(test.decision());
  }
}
BENCHMARK(Pair)->Name("pair");

}  // namespace
}  // namespace tidewheel::bench
