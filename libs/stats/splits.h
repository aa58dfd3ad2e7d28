#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

enum class Split : std::int32_t { kTraining = 0, kValidation = 1, kTest = 2 };
inline constexpr std::size_t kSplits = 3;

/// "training", "validation", "test"; "no split" for another number.
std::string_view Name(Split split);

/// The rest is training.
struct SplitShares {
  double validation = 0.15;
  double test = 0.15;
};

/// kInvalidArgument: shares that are negative, not finite or sum to more than 1.
Result<void> Check(const SplitShares& shares);

/// A number in [0, 1) that belongs to the group for good: StableHash(group, seed) / 2^64, to 53
/// bits. Places of different groups, or of one group under different seeds, are as good as
/// independent.
double PlaceOfGroup(std::string_view group, std::uint64_t seed);

/// By the place alone: [0, test) is test, [test, test + validation) validation, the rest training.
/// This is the rule by which ingestion fixes splits when samples arrive. Shares of groups are exact
/// in expectation; a group never parts, and no other group changes where it goes.
Result<std::vector<Split>> SplitByGroup(std::span<const std::string> groups,
                                        const SplitShares& shares, std::uint64_t seed);

struct StratifiedSplit {
  std::vector<Split> splits;          // Per row.
  std::vector<std::uint64_t> groups;  // Classes x 3: groups of the class in each split.
  std::vector<std::uint64_t> rows;    // Classes x 3: rows of the class in each split.
};

/// Exact counts of groups for each class, by largest remainder (Hamilton); equal remainders go to
/// training, then validation, then test. A group's class is its rows' commonest (the smaller index
/// where they tie), so that with one row a group the counts of rows are exact. Within a class the
/// groups with the lowest places are test, the next validation: where counts allow it, that is what
/// SplitByGroup says. Depends on the set of groups, not on the order of the rows. O(rows log rows).
///
/// kInvalidArgument: shares as Check, no rows, different lengths, a label that is not in
/// 0..classes-1 (its row).
Result<StratifiedSplit> SplitStratified(std::span<const std::string> groups,
                                        std::span<const std::int32_t> labels, std::size_t classes,
                                        const SplitShares& shares, std::uint64_t seed);

struct TimeSplit {
  std::vector<Split> splits;
  std::optional<std::int64_t> validation_from;  // None without a validation share.
  std::optional<std::int64_t> test_from;        // None without a test share.
};

/// Training comes first, then validation, then test, with their shares by largest remainder; rows
/// of the same time stay together and go to the later split. Times in any one unit. O(rows log
/// rows). kInvalidArgument: shares as Check, no rows. kFailedPrecondition: nothing would be left
/// for training, or for validation where it has a share.
Result<TimeSplit> SplitByTime(std::span<const std::int64_t> times, const SplitShares& shares);

/// The rows of one split, rising.
std::vector<std::uint32_t> RowsOf(std::span<const Split> splits, Split split);

/// `total` shared out in proportion to `weights` in whole numbers: each share rounded down, the
/// rest one by one to the largest remainders, the earlier of equal ones first (Hamilton). Sums to
/// `total` exactly. Weights are 0 or more and at least one is above 0, or everything is 0.
std::vector<std::uint64_t> LargestRemainder(std::uint64_t total, std::span<const double> weights);

}  // namespace tidewheel::stats
