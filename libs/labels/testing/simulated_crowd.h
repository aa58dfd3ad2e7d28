#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/labels/consensus.h"
#include "tidewheel/labels/votes.h"

/// Votes made up for the tests.
namespace tidewheel::labels::internal {

struct SimulatedCrowd : VoteList {
  std::vector<std::int32_t> truth;  // Of each item.

  void Add(std::int32_t i, std::int32_t w, std::int32_t l) {
    item.push_back(i);
    worker.push_back(w);
    label.push_back(l);
    items = std::max(items, static_cast<std::size_t>(i) + 1);
    workers = std::max(workers, static_cast<std::size_t>(w) + 1);
    classes = std::max(classes, static_cast<std::size_t>(std::max(l, 1)) + 1);
  }
};

/// Workers of different quality, the first the worst, each on most items.
inline SimulatedCrowd Simulate(std::size_t items, std::size_t workers, std::size_t classes,
                               std::uint64_t seed) {
  Random random(seed);
  SimulatedCrowd crowd;
  for (std::size_t i = 0; i < items; ++i) {
    crowd.truth.push_back(static_cast<std::int32_t>(random.Below(classes)));
    for (std::size_t w = 0; w < workers; ++w) {
      if (random.Uniform() < 0.3) continue;
      const double quality = 0.5 + 0.45 * static_cast<double>(w) / static_cast<double>(workers);
      const auto label = random.Uniform() < quality
                             ? crowd.truth.back()
                             : static_cast<std::int32_t>(random.Below(classes));
      crowd.Add(static_cast<std::int32_t>(i), static_cast<std::int32_t>(w), label);
    }
  }
  crowd.items = items;
  crowd.workers = workers;
  crowd.classes = classes;
  return crowd;
}

/// Any shape: few or many items, workers and classes, repeated votes, abstentions, items without
/// votes, a class nobody votes for.
inline SimulatedCrowd SimulateAnything(std::uint64_t seed) {
  Random random(seed);
  SimulatedCrowd crowd;
  crowd.items = 3 + random.Below(60);
  crowd.workers = 2 + random.Below(9);
  crowd.classes = 2 + random.Below(seed % 5 == 0 ? 22 : 5);
  const std::size_t voted = crowd.classes - (crowd.classes > 2 && seed % 3 == 0 ? 1 : 0);
  for (std::size_t i = 0; i < crowd.items; ++i) {
    crowd.truth.push_back(static_cast<std::int32_t>(random.Below(voted)));
  }
  const std::size_t votes = crowd.items * (1 + random.Below(6));
  for (std::size_t v = 0; v < votes; ++v) {
    const std::size_t i = random.Below(crowd.items);
    const auto w = static_cast<std::int32_t>(random.Below(crowd.workers));
    crowd.item.push_back(static_cast<std::int32_t>(i));
    crowd.worker.push_back(w);
    crowd.label.push_back(random.Uniform() < 0.05 ? kAbstain
                          : random.Uniform() < 0.65
                              ? crowd.truth[i]
                              : static_cast<std::int32_t>(random.Below(voted)));
  }
  // Two workers meet in any case.
  for (std::int32_t w = 0; w < 2; ++w) {
    crowd.item.push_back(0);
    crowd.worker.push_back(w);
    crowd.label.push_back(crowd.truth[0]);
  }
  return crowd;
}

inline std::vector<std::size_t> Shuffled(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t n = size; n > 1; --n) std::swap(order[n - 1], order[random.Below(n)]);
  return order;
}

/// The same votes in another order.
inline SimulatedCrowd Reordered(const SimulatedCrowd& crowd, std::uint64_t seed) {
  SimulatedCrowd other = crowd;
  const auto order = Shuffled(crowd.item.size(), seed);
  for (std::size_t v = 0; v < order.size(); ++v) {
    other.item[v] = crowd.item[order[v]];
    other.worker[v] = crowd.worker[order[v]];
    other.label[v] = crowd.label[order[v]];
  }
  return other;
}

/// The same votes with other numbers for items, workers and classes.
struct Renamed {
  SimulatedCrowd crowd;
  std::vector<std::size_t> item, worker, label;  // New numbers of the old.
};

inline Renamed Rename(const SimulatedCrowd& crowd, std::uint64_t seed) {
  Renamed renamed{crowd, Shuffled(crowd.items, seed), Shuffled(crowd.workers, seed + 1),
                  Shuffled(crowd.classes, seed + 2)};
  for (std::size_t v = 0; v < crowd.item.size(); ++v) {
    const auto number = [](const std::vector<std::size_t>& names, std::int32_t old) {
      return static_cast<std::int32_t>(names[static_cast<std::size_t>(old)]);
    };
    renamed.crowd.item[v] = number(renamed.item, crowd.item[v]);
    renamed.crowd.worker[v] = number(renamed.worker, crowd.worker[v]);
    if (crowd.label[v] != kAbstain) renamed.crowd.label[v] = number(renamed.label, crowd.label[v]);
  }
  for (std::size_t i = 0; i < crowd.items; ++i) {
    renamed.crowd.truth[renamed.item[i]] =
        static_cast<std::int32_t>(renamed.label[static_cast<std::size_t>(crowd.truth[i])]);
  }
  return renamed;
}

inline double Accuracy(const Consensus& consensus, const SimulatedCrowd& crowd) {
  double right = 0;
  for (std::size_t i = 0; i < crowd.truth.size(); ++i) {
    right += consensus.label[i] == crowd.truth[i] ? 1 : 0;
  }
  return right / static_cast<double>(crowd.truth.size());
}

}  // namespace tidewheel::labels::internal
