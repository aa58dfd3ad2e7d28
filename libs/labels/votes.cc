#include "tidewheel/labels/votes.h"

#include <algorithm>
#include <numeric>

#include "tidewheel/labels/internal/packed_votes.h"

namespace tidewheel::labels {

Result<VoteList> KeepLastVotes(const Votes& votes) {
  if (const auto good = internal::Check(votes); !good) return good.error();
  std::vector<std::size_t> order(votes.item.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto same = [&](std::size_t a, std::size_t b) {
    return votes.item[a] == votes.item[b] && votes.worker[a] == votes.worker[b];
  };
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (votes.item[a] != votes.item[b]) return votes.item[a] < votes.item[b];
    if (votes.worker[a] != votes.worker[b]) return votes.worker[a] < votes.worker[b];
    return a < b;
  });
  std::vector<bool> last(votes.item.size());
  for (std::size_t n = 0; n < order.size(); ++n) {
    last[order[n]] = n + 1 == order.size() || !same(order[n], order[n + 1]);
  }
  VoteList kept;
  kept.items = votes.items;
  kept.workers = votes.workers;
  kept.classes = votes.classes;
  for (std::size_t v = 0; v < votes.item.size(); ++v) {
    if (!last[v] || votes.label[v] == kAbstain) continue;
    kept.item.push_back(votes.item[v]);
    kept.worker.push_back(votes.worker[v]);
    kept.label.push_back(votes.label[v]);
  }
  return kept;
}

}  // namespace tidewheel::labels
