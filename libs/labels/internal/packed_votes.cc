#include "tidewheel/labels/internal/packed_votes.h"

#include <algorithm>
#include <string>
#include <utility>

namespace tidewheel::labels::internal {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

/// Most items have a handful of votes, in an order that no branch can foresee: neighbours are put
/// in order, even and odd pairs in turn, without any.
void SortFew(std::uint32_t* first, std::size_t size) {
  constexpr std::size_t kFew = 12;
  if (size > kFew) {
    std::sort(first, first + size);
    return;
  }
  for (std::size_t turn = 0; turn < size; ++turn) {
    for (std::size_t n = turn % 2; n + 1 < size; n += 2) {
      const std::uint32_t a = first[n];
      const std::uint32_t b = first[n + 1];
      first[n] = a < b ? a : b;
      first[n + 1] = a < b ? b : a;
    }
  }
}

}  // namespace

Result<void> Check(const Votes& votes) {
  constexpr std::size_t kMost = std::numeric_limits<std::uint32_t>::max();
  if (votes.classes < 2)
    return Bad("votes are for at least 2 classes, not " + std::to_string(votes.classes));
  if (votes.item.empty()) return Bad("there are no votes");
  if (votes.item.size() != votes.worker.size() || votes.item.size() != votes.label.size()) {
    return Bad("votes have " + std::to_string(votes.item.size()) + " items, " +
               std::to_string(votes.worker.size()) + " workers and " +
               std::to_string(votes.label.size()) + " labels");
  }
  if (votes.item.size() > kMost || votes.items > kMost || votes.classes > kMost ||
      votes.workers > kMost / votes.classes) {
    return Bad("the limit for votes, for items and for workers x classes is " +
               std::to_string(kMost) + ": there are " + std::to_string(votes.item.size()) +
               " votes, " + std::to_string(votes.items) + " items, " +
               std::to_string(votes.workers) + " workers and " + std::to_string(votes.classes) +
               " classes");
  }
  const auto in_range = [](std::int32_t index, std::size_t size) {
    return index >= 0 && static_cast<std::size_t>(index) < size;
  };
  bool any = false;
  for (std::size_t v = 0; v < votes.item.size(); ++v) {
    const bool abstains = votes.label[v] == kAbstain;
    any = any || !abstains;
    if (!in_range(votes.item[v], votes.items) || !in_range(votes.worker[v], votes.workers) ||
        !(abstains || in_range(votes.label[v], votes.classes))) {
      return Bad("vote " + std::to_string(v) + " (item " + std::to_string(votes.item[v]) +
                 ", worker " + std::to_string(votes.worker[v]) + ", label " +
                 std::to_string(votes.label[v]) + ") is out of range: there are " +
                 std::to_string(votes.items) + " items, " + std::to_string(votes.workers) +
                 " workers and " + std::to_string(votes.classes) + " classes");
    }
  }
  if (!any) return Bad("there are no votes but abstentions");
  return {};
}

Result<PackedVotes> PackedVotes::Of(const Votes& votes) {
  if (const auto good = Check(votes); !good) return good.error();
  PackedVotes packed;
  packed.items_ = votes.items;
  packed.workers_ = votes.workers;
  packed.classes_ = votes.classes;
  packed.begin_.assign(votes.items + 1, 0);
  for (std::size_t v = 0; v < votes.item.size(); ++v) {
    packed.begin_[static_cast<std::size_t>(votes.item[v]) + 1] +=
        votes.label[v] == kAbstain ? 0U : 1U;
  }
  for (std::size_t i = 0; i < votes.items; ++i) packed.begin_[i + 1] += packed.begin_[i];
  packed.rows_.resize(packed.begin_.back());
  std::vector<std::uint32_t> next(packed.begin_.begin(), packed.begin_.end() - 1);
  const auto classes = static_cast<std::uint32_t>(votes.classes);
  for (std::size_t v = 0; v < votes.item.size(); ++v) {
    if (votes.label[v] == kAbstain) continue;
    packed.rows_[next[static_cast<std::size_t>(votes.item[v])]++] =
        static_cast<std::uint32_t>(votes.worker[v]) * classes +
        static_cast<std::uint32_t>(votes.label[v]);
  }
  std::uint32_t* rows = packed.rows_.data();
  for (std::size_t i = 0; i < votes.items; ++i) {
    SortFew(rows + packed.begin_[i], packed.begin_[i + 1] - packed.begin_[i]);
  }
  return packed;
}

std::vector<std::uint32_t> PackedVotes::VotesOfWorkers() const {
  std::vector<std::uint32_t> cast(workers_);
  for (const std::uint32_t row : rows_) ++cast[WorkerOf(row)];
  return cast;
}

bool PackedVotes::Overlap() const {
  for (std::size_t i = 0; i < items_; ++i) {
    const auto cast = of(i);
    if (!cast.empty() && WorkerOf(cast.front()) != WorkerOf(cast.back())) return true;
  }
  return false;
}

Result<void> NeedOverlap(const PackedVotes& votes, const char* method) {
  if (votes.Overlap()) return {};
  const auto cast = votes.VotesOfWorkers();
  const auto voting = std::count_if(cast.begin(), cast.end(), [](auto n) { return n > 0; });
  return Error{ErrorCode::kFailedPrecondition,
               std::string(method) +
                   " judges workers by each other, and no item has votes of two: " +
                   (voting == 1 ? "only one worker voted"
                                : "the " + std::to_string(voting) + " workers share none")};
}

}  // namespace tidewheel::labels::internal
