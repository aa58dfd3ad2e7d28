#include "tidewheel/stats/splits.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

constexpr std::size_t kMostClasses = 1'000'000;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

/// A group of a stratified split.
struct Group {
  std::string_view name;
  double place = 0;
  std::vector<std::uint32_t> rows;
  std::size_t label = 0;
};

std::size_t CommonestLabel(std::span<const std::uint32_t> rows,
                           std::span<const std::int32_t> labels) {
  std::vector<std::int32_t> own;
  for (const std::uint32_t row : rows) own.push_back(labels[row]);
  std::sort(own.begin(), own.end());
  std::size_t best = 0;
  std::size_t most = 0;
  for (std::size_t begin = 0; begin < own.size();) {
    std::size_t end = begin;
    while (end < own.size() && own[end] == own[begin]) ++end;
    if (end - begin > most) {
      most = end - begin;
      best = static_cast<std::size_t>(own[begin]);
    }
    begin = end;
  }
  return best;
}

}  // namespace

std::string_view Name(Split split) {
  switch (split) {
    case Split::kTraining:
      return "training";
    case Split::kValidation:
      return "validation";
    case Split::kTest:
      return "test";
  }
  return "no split";
}

Result<void> Check(const SplitShares& shares) {
  if (!(shares.validation >= 0 && shares.test >= 0 && shares.validation + shares.test <= 1)) {
    return Bad("shares of validation and test are 0 or more and sum to at most 1");
  }
  return {};
}

double PlaceOfGroup(std::string_view group, std::uint64_t seed) {
  return static_cast<double>(StableHash(group, seed) >> 11) * 0x1.0p-53;
}

Result<std::vector<Split>> SplitByGroup(std::span<const std::string> groups,
                                        const SplitShares& shares, std::uint64_t seed) {
  if (const auto good = Check(shares); !good) return good.error();
  std::vector<Split> splits;
  splits.reserve(groups.size());
  for (const std::string& group : groups) {
    const double place = PlaceOfGroup(group, seed);
    splits.push_back(place < shares.test                       ? Split::kTest
                     : place < shares.test + shares.validation ? Split::kValidation
                                                               : Split::kTraining);
  }
  return splits;
}

Result<StratifiedSplit> SplitStratified(std::span<const std::string> groups,
                                        std::span<const std::int32_t> labels, std::size_t classes,
                                        const SplitShares& shares, std::uint64_t seed) {
  if (const auto good = Check(shares); !good) return good.error();
  if (labels.empty()) return Bad("there are no rows");
  if (groups.size() != labels.size()) {
    return Bad(std::to_string(labels.size()) + " labels need as many groups, not " +
               std::to_string(groups.size()));
  }
  if (classes > kMostClasses) {
    return Bad("at most " + std::to_string(kMostClasses) + " classes, not " +
               std::to_string(classes));
  }
  std::vector<Group> all;
  std::unordered_map<std::string_view, std::size_t> known;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    if (labels[row] < 0 || static_cast<std::size_t>(labels[row]) >= classes) {
      return Bad("row " + std::to_string(row) + ": label " + std::to_string(labels[row]) +
                 " is not in 0.." + std::to_string(classes) + " - 1");
    }
    const auto [at, fresh] = known.emplace(groups[row], all.size());
    if (fresh) all.push_back({groups[row], PlaceOfGroup(groups[row], seed), {}, 0});
    all[at->second].rows.push_back(static_cast<std::uint32_t>(row));
  }
  for (Group& group : all) group.label = CommonestLabel(group.rows, labels);
  std::sort(all.begin(), all.end(), [](const Group& a, const Group& b) {
    if (a.label != b.label) return a.label < b.label;
    return a.place != b.place ? a.place < b.place : a.name < b.name;
  });

  StratifiedSplit split;
  split.splits.resize(labels.size());
  split.groups.assign(classes * kSplits, 0);
  split.rows.assign(classes * kSplits, 0);
  const double weights[kSplits] = {std::max(0.0, 1 - shares.validation - shares.test),
                                   shares.validation, shares.test};
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t label = all[begin].label;
    std::size_t end = begin;
    while (end < all.size() && all[end].label == label) ++end;
    const auto counts = LargestRemainder(end - begin, weights);
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t place = i - begin;
      const Split to = place < counts[2]               ? Split::kTest
                       : place < counts[2] + counts[1] ? Split::kValidation
                                                       : Split::kTraining;
      ++split.groups[label * kSplits + static_cast<std::size_t>(to)];
      for (const std::uint32_t row : all[i].rows) {
        split.splits[row] = to;
        ++split
              .rows[static_cast<std::size_t>(labels[row]) * kSplits + static_cast<std::size_t>(to)];
      }
    }
    begin = end;
  }
  return split;
}

Result<TimeSplit> SplitByTime(std::span<const std::int64_t> times, const SplitShares& shares) {
  if (const auto good = Check(shares); !good) return good.error();
  if (times.empty()) return Bad("there are no rows");
  std::vector<std::int64_t> sorted(times.begin(), times.end());
  std::sort(sorted.begin(), sorted.end());
  const double weights[kSplits] = {std::max(0.0, 1 - shares.validation - shares.test),
                                   shares.validation, shares.test};
  const auto counts = LargestRemainder(sorted.size(), weights);
  TimeSplit split;
  const auto from = [&](std::uint64_t rows) { return sorted[sorted.size() - rows]; };
  if (counts[2] > 0) split.test_from = from(counts[2]);
  if (counts[1] > 0) split.validation_from = from(counts[2] + counts[1]);

  std::uint64_t made[kSplits] = {0, 0, 0};
  for (const std::int64_t time : times) {
    const Split to = split.test_from && time >= *split.test_from               ? Split::kTest
                     : split.validation_from && time >= *split.validation_from ? Split::kValidation
                                                                               : Split::kTraining;
    split.splits.push_back(to);
    ++made[static_cast<std::size_t>(to)];
  }
  for (const Split wanted : {Split::kTraining, Split::kValidation}) {
    const auto place = static_cast<std::size_t>(wanted);
    if (counts[place] > 0 && made[place] == 0) {
      return Error{
          ErrorCode::kFailedPrecondition,
          "too many rows have the same time: no row is left for " + std::string(Name(wanted))};
    }
  }
  if (made[0] == 0) {
    return Error{ErrorCode::kFailedPrecondition, "with these shares no row is left for training"};
  }
  return split;
}

std::vector<std::uint32_t> RowsOf(std::span<const Split> splits, Split split) {
  std::vector<std::uint32_t> rows;
  for (std::size_t row = 0; row < splits.size(); ++row) {
    if (splits[row] == split) rows.push_back(static_cast<std::uint32_t>(row));
  }
  return rows;
}

std::vector<std::uint64_t> LargestRemainder(std::uint64_t total, std::span<const double> weights) {
  std::vector<std::uint64_t> counts(weights.size(), 0);
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (!(sum > 0)) return counts;
  std::vector<double> remainder(weights.size());
  std::uint64_t given = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double quota = static_cast<double>(total) * weights[i] / sum;
    // A quota that is whole but for rounding is whole.
    const double whole = std::floor(quota + 1e-9);
    counts[i] = std::min(static_cast<std::uint64_t>(whole), total - given);
    given += counts[i];
    remainder[i] = weights[i] > 0 ? std::round((quota - whole) * 1e9) : -2;
  }
  std::vector<std::size_t> order(weights.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return remainder[a] > remainder[b]; });
  for (std::size_t i = 0; given < total; i = (i + 1) % order.size()) {
    if (weights[order[i]] <= 0) continue;
    ++counts[order[i]];
    ++given;
  }
  return counts;
}

}  // namespace tidewheel::stats
