#include "tidewheel/stats/leakage.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>

namespace tidewheel::stats {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> CheckSplits(std::size_t rows, std::span<const Split> splits, const char* what) {
  if (splits.empty()) return Bad("there are no rows");
  if (splits.size() != rows) {
    return Bad(std::to_string(splits.size()) + " rows need as many " + what + ", not " +
               std::to_string(rows));
  }
  for (std::size_t row = 0; row < rows; ++row) {
    if (static_cast<std::size_t>(splits[row]) >= kSplits) {
      return Bad("row " + std::to_string(row) + ": " +
                 std::to_string(static_cast<std::int32_t>(splits[row])) + " is no split");
    }
  }
  return {};
}

template <typename T>
std::uint64_t CountDifferent(std::span<const T> values) {
  std::vector<T> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return static_cast<std::uint64_t>(std::unique(sorted.begin(), sorted.end()) - sorted.begin());
}

std::string TwoDigits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

template <typename T>
std::vector<T> Pick(std::span<const T> values, std::span<const std::uint32_t> rows) {
  std::vector<T> picked;
  picked.reserve(rows.size());
  for (const std::uint32_t row : rows) picked.push_back(values[row]);
  return picked;
}

std::string Copies(const DuplicateReport& report, const std::string& kind) {
  return std::to_string(report.pairs_across) + " pairs of " + kind + " across splits; " +
         std::to_string(report.leaked.size()) + " rows outside training have a twin in training";
}

Result<void> ReportFeatures(const LeakageInput& input, const LeakagePolicy& policy,
                            LeakageReport& report) {
  if (input.features.empty()) {
    report.not_checked.push_back("predictive power and identifiers: no columns were given");
    return {};
  }
  const bool labeled = !input.labels.empty();
  if (!labeled) report.not_checked.push_back("predictive power: no labels were given");
  if (labeled && input.labels.size() != input.splits.size()) {
    return Bad(std::to_string(input.splits.size()) + " rows need as many labels, not " +
               std::to_string(input.labels.size()));
  }
  const auto training = RowsOf(input.splits, Split::kTraining);
  const auto labels = labeled ? Pick(input.labels, training) : std::vector<std::int32_t>{};
  for (const FeatureColumn& feature : input.features) {
    if (feature.rows() != input.splits.size()) {
      return Bad("column \"" + feature.name + "\" has " + std::to_string(feature.rows()) +
                 " rows, not " + std::to_string(input.splits.size()));
    }
    FeatureReport own{feature.name, {}, {}};
    const auto identifier = FindIdentifier(feature, policy.identifier_share);
    if (!identifier) return identifier.error();
    own.identifier = *identifier;
    if (own.identifier.is_identifier) {
      report.findings.push_back("column \"" + feature.name +
                                "\" names its row: " + std::to_string(own.identifier.different) +
                                " values in " + std::to_string(feature.rows()) + " rows");
    }
    if (labeled) {
      const auto numeric =
          feature.numeric.empty() ? std::vector<double>{} : Pick(feature.numeric, training);
      const auto nominal =
          feature.nominal.empty() ? std::vector<std::int32_t>{} : Pick(feature.nominal, training);
      const auto power = ScorePredictivePower({feature.name, numeric, nominal}, labels,
                                              input.classes, policy.power);
      if (power) {
        own.power = *power;
        if (power->score > policy.predictive_power) {
          report.findings.push_back("column \"" + feature.name +
                                    "\" alone tells the label: predictive power " +
                                    TwoDigits(power->score));
        }
      } else if (power.error().code == ErrorCode::kFailedPrecondition) {
        report.not_checked.push_back("predictive power of column \"" + feature.name +
                                     "\": " + power.error().message);
      } else {
        return power.error();
      }
    }
    report.features.push_back(std::move(own));
  }
  return {};
}

}  // namespace

Result<GroupReport> FindGroupsAcrossSplits(std::span<const std::string> groups,
                                           std::span<const Split> splits, std::size_t examples) {
  if (const auto good = CheckSplits(groups.size(), splits, "groups"); !good) return good.error();
  std::vector<std::uint32_t> order(groups.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return groups[a] < groups[b]; });
  GroupReport report;
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    bool across = false;
    while (end < order.size() && groups[order[end]] == groups[order[begin]]) {
      across = across || splits[order[end]] != splits[order[begin]];
      ++end;
    }
    ++report.groups;
    if (across) {
      ++report.groups_across;
      report.rows_across += end - begin;
      if (report.examples.size() < examples) report.examples.push_back(groups[order[begin]]);
    }
    begin = end;
  }
  return report;
}

Result<TimeReport> FindTimeOverlap(std::span<const std::int64_t> times,
                                   std::span<const Split> splits) {
  if (const auto good = CheckSplits(times.size(), splits, "times"); !good) return good.error();
  TimeReport report;
  report.training_ends = std::numeric_limits<std::int64_t>::min();
  report.evaluation_begins = std::numeric_limits<std::int64_t>::max();
  for (std::size_t row = 0; row < times.size(); ++row) {
    if (splits[row] == Split::kTraining) {
      report.training_ends = std::max(report.training_ends, times[row]);
    } else {
      report.evaluation_begins = std::min(report.evaluation_begins, times[row]);
      ++report.evaluation_rows;
    }
  }
  if (report.evaluation_rows == 0 || report.evaluation_rows == times.size()) {
    return Error{ErrorCode::kFailedPrecondition,
                 std::string("not applicable, because there are no rows ") +
                     (report.evaluation_rows == 0 ? "outside training" : "in training")};
  }
  for (std::size_t row = 0; row < times.size(); ++row) {
    if (splits[row] != Split::kTraining && times[row] <= report.training_ends) {
      ++report.rows_before_training_ends;
    }
  }
  report.share = static_cast<double>(report.rows_before_training_ends) /
                 static_cast<double>(report.evaluation_rows);
  return report;
}

Result<IdentifierReport> FindIdentifier(const FeatureColumn& feature, double share) {
  if (feature.numeric.empty() == feature.nominal.empty()) {
    return Bad("column \"" + feature.name + "\" needs either numbers or codes");
  }
  if (!(share > 0 && share <= 1)) return Bad("an identifier's share is above 0 and at most 1");
  if (feature.rows() < 2) return Bad("column \"" + feature.name + "\" has fewer than 2 rows");
  bool whole = true;
  for (std::size_t row = 0; row < feature.numeric.size(); ++row) {
    if (!std::isfinite(feature.numeric[row])) {
      return Bad("column \"" + feature.name + "\", row " + std::to_string(row) + " is not finite");
    }
    whole = whole && feature.numeric[row] == std::floor(feature.numeric[row]);
  }
  IdentifierReport report;
  report.different =
      feature.numeric.empty() ? CountDifferent(feature.nominal) : CountDifferent(feature.numeric);
  report.share = static_cast<double>(report.different) / static_cast<double>(feature.rows());
  report.is_identifier = whole && report.share >= share;
  return report;
}

Result<LeakageReport> ReportLeakage(const LeakageInput& input, const LeakagePolicy& policy) {
  if (const auto good = CheckSplits(input.splits.size(), input.splits, "splits"); !good) {
    return good.error();
  }
  LeakageReport report;
  if (input.digests.empty()) {
    report.not_checked.push_back("exact duplicates: no digests were given");
  } else {
    auto found = FindExactDuplicates(input.digests, input.splits, policy.duplicates);
    if (!found) return found.error();
    if (found->pairs_across > 0) report.findings.push_back(Copies(*found, "equal rows"));
    report.exact = std::move(*found);
  }
  if (input.hashes.empty()) {
    report.not_checked.push_back("near duplicates: no perceptual hashes were given");
  } else {
    auto found =
        FindNearDuplicates(input.hashes, input.splits, policy.near_distance, policy.duplicates);
    if (!found) return found.error();
    if (found->pairs_across > 0) {
      report.findings.push_back(Copies(
          *found, "near duplicates (within " + std::to_string(policy.near_distance) + " bits)"));
    }
    report.near = std::move(*found);
  }
  if (input.groups.empty()) {
    report.not_checked.push_back("groups across splits: no groups were given");
  } else {
    auto found = FindGroupsAcrossSplits(input.groups, input.splits, policy.duplicates.examples);
    if (!found) return found.error();
    if (found->groups_across > 0) {
      report.findings.push_back(std::to_string(found->groups_across) + " of " +
                                std::to_string(found->groups) +
                                " groups stand in more than one split, with " +
                                std::to_string(found->rows_across) + " rows");
    }
    report.groups = std::move(*found);
  }
  if (input.times.empty()) {
    report.not_checked.push_back("time overlap: no times were given");
  } else if (const auto found = FindTimeOverlap(input.times, input.splits); found) {
    report.times = *found;
    if (policy.split_by_time && found->rows_before_training_ends > 0) {
      report.findings.push_back(std::to_string(found->rows_before_training_ends) + " of " +
                                std::to_string(found->evaluation_rows) +
                                " evaluation rows are not after the latest training row");
    }
  } else if (found.error().code == ErrorCode::kFailedPrecondition) {
    report.not_checked.push_back("time overlap: " + found.error().message);
  } else {
    return found.error();
  }
  if (const auto good = ReportFeatures(input, policy, report); !good) return good.error();
  return report;
}

}  // namespace tidewheel::stats
