#include "tidewheel/labels/label_functions.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace tidewheel::labels {

Result<void> CheckFunctionVotes(const FunctionVotes& votes) {
  const auto& matrix = votes.votes;
  const auto invalid = [](const std::string& message) {
    return Error{ErrorCode::kInvalidArgument, "label functions: " + message};
  };
  if (matrix.rows == 0 || matrix.columns == 0) {
    return invalid("votes of " + std::to_string(matrix.rows) + " rows and " +
                   std::to_string(matrix.columns) + " functions, at least one of each is needed");
  }
  if (!matrix.Fits()) {
    return invalid(std::to_string(matrix.values.size()) + " votes do not fit " +
                   std::to_string(matrix.rows) + " rows x " + std::to_string(matrix.columns) +
                   " functions");
  }
  if (votes.classes < 2 || votes.classes > std::numeric_limits<std::int32_t>::max()) {
    return invalid(std::to_string(votes.classes) + " classes, at least two are needed");
  }
  const auto classes = static_cast<std::int32_t>(votes.classes);
  bool any = false;
  for (std::size_t i = 0; i < matrix.values.size(); ++i) {
    const std::int32_t vote = matrix.values[i];
    if (vote < kAbstain || vote >= classes) {
      return invalid("row " + std::to_string(i / matrix.columns) + ", function " +
                     std::to_string(i % matrix.columns) + ": vote " + std::to_string(vote) +
                     " is not -1 to " + std::to_string(classes - 1));
    }
    any = any || vote != kAbstain;
  }
  if (!any) return invalid("no function votes on any row");
  return {};
}

Result<void> CheckGold(std::span<const std::int32_t> gold, std::size_t rows, std::size_t classes) {
  if (gold.size() != rows) {
    return Error{ErrorCode::kInvalidArgument, "gold labels: " + std::to_string(gold.size()) +
                                                  " for " + std::to_string(rows) + " rows"};
  }
  for (std::size_t row = 0; row < rows; ++row) {
    if (gold[row] < kAbstain || gold[row] >= static_cast<std::int64_t>(classes)) {
      return Error{ErrorCode::kInvalidArgument, "gold labels: row " + std::to_string(row) + ": " +
                                                    std::to_string(gold[row]) + " is not -1 to " +
                                                    std::to_string(classes - 1)};
    }
  }
  return {};
}

Result<VotesSummary> SummarizeFunctions(const FunctionVotes& votes,
                                        std::span<const std::int32_t> gold, double confidence) {
  if (auto checked = CheckFunctionVotes(votes); !checked) return checked.error();
  const std::size_t rows = votes.votes.rows;
  const std::size_t functions = votes.votes.columns;
  if (!gold.empty()) {
    if (auto checked = CheckGold(gold, rows, votes.classes); !checked) return checked.error();
  }
  if (!(confidence > 0 && confidence < 1)) {
    return Error{ErrorCode::kInvalidArgument, "label functions: confidence must be in (0, 1)"};
  }

  std::vector<std::uint64_t> covered(functions), overlaps(functions), conflicts(functions);
  std::vector<std::uint64_t> by_class(functions * votes.classes);
  std::uint64_t any = 0, several = 0, contested = 0;
  VotesSummary summary;
  summary.functions.resize(functions);
  for (std::size_t row = 0; row < rows; ++row) {
    const auto line = votes.votes.Row(row);
    std::size_t voters = 0;
    std::int32_t first = kAbstain;
    bool differ = false;
    for (const std::int32_t vote : line) {
      if (vote == kAbstain) continue;
      if (voters++ == 0) first = vote;
      differ = differ || vote != first;
    }
    any += voters > 0 ? 1 : 0;
    several += voters > 1 ? 1 : 0;
    contested += differ ? 1 : 0;
    for (std::size_t f = 0; f < functions; ++f) {
      const std::int32_t vote = line[f];
      if (vote == kAbstain) continue;
      ++covered[f];
      ++by_class[f * votes.classes + static_cast<std::size_t>(vote)];
      overlaps[f] += voters > 1 ? 1 : 0;
      // Where two votes differ, every vote has one that differs from it.
      conflicts[f] += differ ? 1 : 0;
      if (!gold.empty() && gold[row] != kAbstain) {
        ++summary.functions[f].judged;
        summary.functions[f].right += vote == gold[row] ? 1 : 0;
      }
    }
  }

  const auto share = [&](std::uint64_t count) {
    return static_cast<double>(count) / static_cast<double>(rows);
  };
  summary.coverage = share(any);
  summary.overlap = share(several);
  summary.conflict = share(contested);
  for (std::size_t f = 0; f < functions; ++f) {
    FunctionSummary& one = summary.functions[f];
    one.votes = covered[f];
    one.coverage = share(covered[f]);
    one.overlap = share(overlaps[f]);
    one.conflict = share(conflicts[f]);
    for (std::size_t k = 0; k < votes.classes; ++k) {
      if (by_class[f * votes.classes + k] > 0) one.polarity.push_back(static_cast<std::int32_t>(k));
    }
    one.accuracy_interval = {0, 1};
    if (one.judged > 0) {
      one.accuracy = static_cast<double>(one.right) / static_cast<double>(one.judged);
      const auto interval = stats::WilsonInterval(one.right, one.judged, confidence);
      if (!interval) return interval.error();
      one.accuracy_interval = *interval;
    }
  }
  return summary;
}

}  // namespace tidewheel::labels
