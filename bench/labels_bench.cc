// Dawid-Skene per vote and round, beside the memory it cannot avoid to touch.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/labels/dawid_skene.h"

namespace tidewheel {
namespace {

constexpr std::size_t kItems = 200'000;
constexpr std::size_t kVotesPerItem = 5;
constexpr std::size_t kVotes = kItems * kVotesPerItem;
constexpr std::size_t kWorkers = 1'000;
constexpr std::size_t kClasses = 10;
constexpr std::uint32_t kRounds = 5;

struct Votes {
  std::vector<std::int32_t> item;
  std::vector<std::int32_t> worker;
  std::vector<std::int32_t> label;

  labels::Votes View() const { return {item, worker, label, kItems, kWorkers, kClasses}; }
};

/// Workers who are right seven times of ten.
const Votes& RandomVotes() {
  static const Votes made = [] {
    Random random(1);
    Votes votes;
    for (std::size_t i = 0; i < kItems; ++i) {
      const auto truth = static_cast<std::int32_t>(random.Below(kClasses));
      for (std::size_t v = 0; v < kVotesPerItem; ++v) {
        votes.item.push_back(static_cast<std::int32_t>(i));
        votes.worker.push_back(static_cast<std::int32_t>(random.Below(kWorkers)));
        votes.label.push_back(
            random.Uniform() < 0.7 ? truth : static_cast<std::int32_t>(random.Below(kClasses)));
      }
    }
    return votes;
  }();
  return made;
}

/// One round each iteration: items_per_second counts votes times rounds.
void DawidSkene(benchmark::State& state) {
  const Votes& votes = RandomVotes();
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

/// What each round must do at least: for each vote, one row of its worker's table is added up.
void Gather(benchmark::State& state) {
  const Votes& votes = RandomVotes();
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
BENCHMARK(Gather)->Name("gather")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tidewheel
