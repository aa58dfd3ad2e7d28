#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::labels {

/// The label of a vote that says nothing: it is left out everywhere.
inline constexpr std::int32_t kAbstain = -1;

/// Votes as plain numbers: vote v says that `item[v]` is `label[v]`, by `worker[v]`. All indices
/// count from 0. A worker who votes on an item twice counts twice; KeepLastVotes() is for those who
/// would rather have the newest.
///
/// Every function that takes votes answers kInvalidArgument where there are none that say anything,
/// the three spans differ in length, there are fewer than two classes or an index is out of range
/// (the message names the vote).
struct Votes {
  std::span<const std::int32_t> item;
  std::span<const std::int32_t> worker;
  std::span<const std::int32_t> label;
  std::size_t items = 0;
  std::size_t workers = 0;
  std::size_t classes = 0;
};

/// Votes with numbers of their own.
struct VoteList {
  std::vector<std::int32_t> item;
  std::vector<std::int32_t> worker;
  std::vector<std::int32_t> label;
  std::size_t items = 0;
  std::size_t workers = 0;
  std::size_t classes = 0;

  Votes View() const { return {item, worker, label, items, workers, classes}; }
};

/// The last vote of each worker on each item; an abstention that comes last takes the vote back.
/// The votes that stay keep their order. O(votes log votes) in time, O(votes) in memory.
Result<VoteList> KeepLastVotes(const Votes& votes);

}  // namespace tidewheel::labels
