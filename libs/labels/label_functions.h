#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/labels/votes.h"
#include "tidewheel/stats/intervals.h"

namespace tidewheel::labels {

/// What labeling functions say of rows: one row a sample, one column a function, each entry a class
/// from 0 or kAbstain (-1).
///
/// Every function that takes such votes answers kInvalidArgument where the shape does not fit the
/// values, there is no row or no function, there are fewer than two classes, an entry is out of
/// range (row and column are named), or nobody votes at all.
struct FunctionVotes {
  MatrixView<std::int32_t> votes;
  std::size_t classes = 0;
};

/// One labeling function. Rates are shares of all rows.
struct FunctionSummary {
  std::uint64_t votes = 0;
  double coverage = 0;                 // Rows it votes on.
  double overlap = 0;                  // Rows where another votes as well.
  double conflict = 0;                 // Rows where another votes for another class.
  std::vector<std::int32_t> polarity;  // The classes it votes for, ascending.
  std::uint64_t judged = 0;            // Votes on rows with a gold label,
  std::uint64_t right = 0;             // and how many of them agree.
  std::optional<double> accuracy;      // right / judged; none where nothing was judged.
  stats::Interval accuracy_interval;   // Wilson's; 0 to 1 where nothing was judged.
};

struct VotesSummary {
  double coverage = 0;  // Rows with any vote,
  double overlap = 0;   // with two or more,
  double conflict = 0;  // and with two that differ.
  std::vector<FunctionSummary> functions;
};

/// The table of labeling functions (Ratner et al. 2017). `gold`: empty, or one label a row,
/// kAbstain where it is not known. O(rows x functions). kInvalidArgument: as FunctionVotes says;
/// another number of gold labels than rows or one out of range (the row is named); a confidence not
/// in (0, 1).
Result<VotesSummary> SummarizeFunctions(const FunctionVotes& votes,
                                        std::span<const std::int32_t> gold = {},
                                        double confidence = 0.95);

/// As FunctionVotes says.
Result<void> CheckFunctionVotes(const FunctionVotes& votes);

/// Gold labels, kAbstain where one is not known. kInvalidArgument: another number than `rows`, or a
/// label out of range (the row is named).
Result<void> CheckGold(std::span<const std::int32_t> gold, std::size_t rows, std::size_t classes);

}  // namespace tidewheel::labels
