// Dawid-Skene per vote and round for several numbers of classes, to its end, and one vote at a
// time, beside the memory it cannot avoid to touch.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <map>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/labels/dawid_skene.h"
#include "tidewheel/labels/incremental.h"

namespace tidewheel {
namespace {

constexpr std::size_t kItems = 200'000;
constexpr std::size_t kVotesPerItem = 5;
constexpr std::size_t kVotes = kItems * kVotesPerItem;
constexpr std::size_t kWorkers = 1'000;
constexpr std::size_t kClasses = 10;
constexpr std::uint32_t kRounds = 25;

struct Votes {
  std::vector<std::int32_t> item;
  std::vector<std::int32_t> worker;
  std::vector<std::int32_t> label;
  std::size_t workers = 0;
  std::size_t classes = 0;

  labels::Votes View() const { return {item, worker, label, kItems, workers, classes}; }
};

/// Workers who are right seven times of ten.
const Votes& RandomVotes(std::size_t workers, std::size_t classes) {
  static std::map<std::pair<std::size_t, std::size_t>, Votes> made;
  Votes& votes = made[{workers, classes}];
  if (!votes.item.empty()) return votes;
  Random random(1);
  votes.workers = workers;
  votes.classes = classes;
  for (std::size_t i = 0; i < kItems; ++i) {
    const auto truth = static_cast<std::int32_t>(random.Below(classes));
    for (std::size_t v = 0; v < kVotesPerItem; ++v) {
      votes.item.push_back(static_cast<std::int32_t>(i));
      votes.worker.push_back(static_cast<std::int32_t>(random.Below(workers)));
      votes.label.push_back(
          random.Uniform() < 0.7 ? truth : static_cast<std::int32_t>(random.Below(classes)));
    }
  }
  return votes;
}

/// One call of 25 rounds, from vote arrays to labels: items_per_second counts votes times rounds.
void Rounds(benchmark::State& state, std::size_t workers, std::size_t classes) {
  const Votes& votes = RandomVotes(workers, classes);
  labels::DawidSkeneOptions options;
  options.rounds = kRounds;
  options.tolerance = 0;
  std::int64_t rounds = 0;
  for (auto _ : state) {
    const auto consensus = labels::DawidSkene(votes.View(), options);
    benchmark::DoNotOptimize(consensus->posterior.data());
    rounds += consensus->rounds;
  }
  state.SetItemsProcessed(rounds * static_cast<std::int64_t>(kVotes));
}

void DawidSkene(benchmark::State& state) { Rounds(state, kWorkers, kClasses); }
void TwoClasses(benchmark::State& state) { Rounds(state, 5'000, 2); }
void FourClasses(benchmark::State& state) { Rounds(state, kWorkers, 4); }
void SixteenClasses(benchmark::State& state) { Rounds(state, kWorkers, 16); }

/// From vote arrays until the log-likelihood per vote changes by less than 1e-6.
void ToConvergence(benchmark::State& state) {
  const Votes& votes = RandomVotes(kWorkers, kClasses);
  labels::DawidSkeneOptions options;
  options.tolerance = 1e-6;
  for (auto _ : state) {
    const auto consensus = labels::DawidSkene(votes.View(), options);
    benchmark::DoNotOptimize(consensus->posterior.data());
    state.counters["rounds"] = consensus->rounds;
  }
}

/// What one more vote costs once a full pass is done.
void OneVote(benchmark::State& state) {
  const Votes& votes = RandomVotes(kWorkers, kClasses);
  auto live = labels::IncrementalDawidSkene::Create(kClasses);
  for (std::size_t v = 0; v < kVotes / 2; ++v) {
    if (!live->Add(votes.item[v], votes.worker[v], votes.label[v])) return;
  }
  if (!live->Refit()) return;
  std::size_t next = kVotes / 2;
  for (auto _ : state) {
    benchmark::DoNotOptimize(live->Add(votes.item[next], votes.worker[next], votes.label[next]));
    next = next + 1 < kVotes ? next + 1 : kVotes / 2;
  }
  state.SetItemsProcessed(state.iterations());
}

/// What each round must do at least: for each vote, one row of its worker's table is added up.
void Gather(benchmark::State& state) {
  const Votes& votes = RandomVotes(kWorkers, kClasses);
  const std::vector<double> table(kWorkers * kClasses * kClasses, 0.5);
  std::vector<double> sums(kItems * kClasses);
  for (auto _ : state) {
    for (std::size_t v = 0; v < kVotes; ++v) {
      const auto row = (static_cast<std::size_t>(votes.worker[v]) * kClasses +
                        static_cast<std::size_t>(votes.label[v])) *
                       kClasses;
      double* sum = sums.data() + static_cast<std::size_t>(votes.item[v]) * kClasses;
      for (std::size_t k = 0; k < kClasses; ++k) sum[k] += table[row + k];
    }
    benchmark::DoNotOptimize(sums.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kVotes));
}

BENCHMARK(DawidSkene)->Name("dawid_skene")->Unit(benchmark::kMillisecond);
BENCHMARK(TwoClasses)->Name("dawid_skene/2_classes")->Unit(benchmark::kMillisecond);
BENCHMARK(FourClasses)->Name("dawid_skene/4_classes")->Unit(benchmark::kMillisecond);
BENCHMARK(SixteenClasses)->Name("dawid_skene/16_classes")->Unit(benchmark::kMillisecond);
BENCHMARK(ToConvergence)->Name("dawid_skene/to_convergence")->Unit(benchmark::kMillisecond);
BENCHMARK(OneVote)->Name("dawid_skene/one_vote")->Unit(benchmark::kNanosecond);
BENCHMARK(Gather)->Name("gather")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tidewheel
