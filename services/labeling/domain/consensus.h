#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labeling/domain/task_catalogue.h"

namespace tidewheel::labeling {

/// All votes of a task as plain numbers: vote i says that `item[i]` is `label[i]`, by `worker[i]`.
struct VoteTable {
  std::vector<std::int32_t> item;
  std::vector<std::int32_t> worker;
  std::vector<std::int32_t> label;
  std::size_t items = 0;
  std::size_t workers = 0;
  std::size_t classes = 0;
};

struct Consensus {
  std::vector<std::int32_t> label;  // Of each item.
  std::vector<double> confidence;   // Posterior probability of that label.
  std::vector<std::uint8_t> tied;   // 1: the best classes had equal support.
  std::vector<double>
      quality;  // Of each worker: probability of a right vote, weighted by class share.
  std::uint32_t rounds = 0;  // Of expectation and maximisation; 0 for majority.
};

/// What the votes amount to. Dawid-Skene learns who is how good from items that two workers voted
/// on, and takes a lone vote as its worker is known from there. Ties go to the class with the
/// larger prior, then to the smaller index. kInvalidArgument: no votes, or an index out of range.
Result<Consensus> FindConsensus(const VoteTable& votes, ConsensusMethod method);

}  // namespace tidewheel::labeling
