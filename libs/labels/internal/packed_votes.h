#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labels/votes.h"

namespace tidewheel::labels::internal {

/// Shapes and indices; says which vote is wrong.
Result<void> Check(const Votes& votes);

/// Checked votes by item, abstentions left out. A vote is the number worker * classes + label: the
/// row that it touches in a table of workers x labels. Those of an item ascend, so that no sum over
/// them depends on the order in which they came.
class PackedVotes {
 public:
  static Result<PackedVotes> Of(const Votes& votes);

  std::size_t items() const { return items_; }
  std::size_t workers() const { return workers_; }
  std::size_t classes() const { return classes_; }
  std::size_t size() const { return rows_.size(); }
  std::size_t table_rows() const { return workers_ * classes_; }

  /// items + 1 places in rows().
  std::span<const std::uint32_t> begin() const { return begin_; }
  std::span<const std::uint32_t> rows() const { return rows_; }
  std::span<const std::uint32_t> of(std::size_t item) const {
    return std::span(rows_).subspan(begin_[item], begin_[item + 1] - begin_[item]);
  }
  std::size_t WorkerOf(std::uint32_t row) const { return row / classes_; }
  std::size_t LabelOf(std::uint32_t row) const { return row % classes_; }

  /// How often each worker voted.
  std::vector<std::uint32_t> VotesOfWorkers() const;
  /// Whether some item has votes of two workers: without one nothing tells workers apart.
  bool Overlap() const;

 private:
  PackedVotes() = default;

  std::size_t items_ = 0;
  std::size_t workers_ = 0;
  std::size_t classes_ = 0;
  std::vector<std::uint32_t> begin_;
  std::vector<std::uint32_t> rows_;
};

/// kFailedPrecondition, which says what `method` would need, where no item has votes of two
/// workers.
Result<void> NeedOverlap(const PackedVotes& votes, const char* method);

}  // namespace tidewheel::labels::internal
