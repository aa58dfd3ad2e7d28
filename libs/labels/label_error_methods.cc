#include <algorithm>
#include <numeric>

#include "tidewheel/labels/internal/scanned_labels.h"
#include "tidewheel/labels/label_errors.h"

namespace tidewheel::labels {
namespace {

using internal::Keyed;
using internal::ScannedLabels;
using internal::Suspect;

template <typename T, typename Wanted>
std::vector<std::uint32_t> SuspectsThat(const ScannedLabels<T>& scanned, const Wanted& wanted) {
  std::vector<std::uint32_t> rows;
  for (const Suspect<T>& suspect : scanned.suspects) {
    if (wanted(suspect)) rows.push_back(suspect.row);
  }
  return rows;
}

template <typename T>
std::vector<std::uint32_t> OffDiagonalRows(const ScannedLabels<T>& scanned) {
  return SuspectsThat(scanned,
                      [&](const Suspect<T>& suspect) { return scanned.IsOffDiagonal(suspect); });
}

std::vector<std::uint32_t> Rows(const std::vector<Keyed>& items) {
  std::vector<std::uint32_t> rows(items.size());
  std::transform(items.begin(), items.end(), rows.begin(), [](const Keyed& k) { return k.row; });
  std::sort(rows.begin(), rows.end());
  return rows;
}

/// One mark a row: the given class's smallest probabilities, as many as its calibrated row has off
/// the diagonal.
template <typename T>
std::vector<std::uint8_t> PruneByClass(const ScannedLabels<T>& scanned, std::uint64_t keep) {
  const ConfidentJoint& joint = scanned.joint;
  const PruneCounts counts = CountsToPrune(joint, keep);
  const auto rows = internal::GroupByClass(scanned.labels.size(), joint.classes,
                                           [&](std::uint32_t row) { return scanned.Label(row); });
  std::vector<std::uint8_t> marks(scanned.labels.size());
  std::vector<Keyed> items;
  for (std::size_t given = 0; given < joint.classes; ++given) {
    const std::uint64_t examples = joint.class_counts[given];
    if (examples <= keep || examples <= counts.kept[given]) continue;
    items.clear();
    for (const std::uint32_t row : rows.Of(given)) items.push_back({scanned.Given(row), row});
    internal::KeepLowest(scanned, items, examples - counts.kept[given]);
    for (const Keyed& item : items) marks[item.row] = 1;
  }
  return marks;
}

/// As many as are off the diagonal; these many have a negative margin, so no others are needed.
template <typename T>
std::vector<std::uint32_t> LowestMargins(const ScannedLabels<T>& scanned) {
  std::vector<Keyed> items;
  for (const Suspect<T>& suspect : scanned.suspects) {
    items.push_back({scanned.Margin(suspect), suspect.row});
  }
  internal::KeepLowest(scanned, items, OffDiagonalRows(scanned).size());
  return Rows(items);
}

/// As many as are off the diagonal, of all examples: none above the largest of theirs can be taken.
template <typename T>
std::vector<std::uint32_t> LowestConfidences(const ScannedLabels<T>& scanned) {
  const auto off_diagonal = OffDiagonalRows(scanned);
  double largest = -1;
  for (const std::uint32_t row : off_diagonal) largest = std::max(largest, scanned.Given(row));
  std::vector<Keyed> items;
  for (std::uint32_t row = 0; row < scanned.labels.size(); ++row) {
    if (scanned.Given(row) <= largest) items.push_back({scanned.Given(row), row});
  }
  internal::KeepLowest(scanned, items, off_diagonal.size());
  return Rows(items);
}

/// Gives classes back what they must keep: the most probable labels first.
template <typename T>
LabelIssues Spare(const ScannedLabels<T>& scanned, std::vector<std::uint32_t> rows,
                  std::uint64_t keep) {
  const ConfidentJoint& joint = scanned.joint;
  std::vector<std::uint64_t> taken(joint.classes);
  for (const std::uint32_t row : rows) ++taken[scanned.Label(row)];
  const auto allowed = [&](std::size_t given) {
    return joint.class_counts[given] - std::min(joint.class_counts[given], keep);
  };
  std::vector<std::vector<Keyed>> crowded(joint.classes);
  LabelIssues issues;
  for (const std::uint32_t row : rows) {
    const std::size_t given = scanned.Label(row);
    if (taken[given] > allowed(given)) {
      crowded[given].push_back({scanned.Given(row), row});
    } else {
      issues.rows.push_back(row);
    }
  }
  for (std::size_t given = 0; given < joint.classes; ++given) {
    if (crowded[given].empty()) continue;
    issues.spared += crowded[given].size() - allowed(given);
    internal::KeepLowest(scanned, crowded[given], allowed(given));
    for (const Keyed& item : crowded[given]) issues.rows.push_back(item.row);
  }
  if (issues.spared > 0) std::sort(issues.rows.begin(), issues.rows.end());
  return issues;
}

template <typename T>
std::vector<std::uint32_t> Choose(const ScannedLabels<T>& scanned, LabelErrorMethod method,
                                  const IssueOptions& options) {
  switch (method) {
    case LabelErrorMethod::kPruneByNoiseRate: {
      const auto marks = internal::PruneByNoiseRate(scanned, options);
      return SuspectsThat(scanned, [&](const auto& suspect) { return marks[suspect.row] != 0; });
    }
    case LabelErrorMethod::kPruneByClass: {
      const auto marks = PruneByClass(scanned, options.keep_per_class);
      return SuspectsThat(scanned, [&](const auto& suspect) { return marks[suspect.row] != 0; });
    }
    case LabelErrorMethod::kBoth: {
      const auto one = internal::PruneByNoiseRate(scanned, options);
      const auto other = PruneByClass(scanned, options.keep_per_class);
      return SuspectsThat(scanned, [&](const auto& suspect) {
        return one[suspect.row] != 0 && other[suspect.row] != 0;
      });
    }
    case LabelErrorMethod::kConfidentLearning:
      return OffDiagonalRows(scanned);
    case LabelErrorMethod::kPredictedNotGiven:
      return SuspectsThat(scanned, [](const auto&) { return true; });
    case LabelErrorMethod::kLowNormalizedMargin:
      return LowestMargins(scanned);
    case LabelErrorMethod::kLowSelfConfidence:
      return LowestConfidences(scanned);
  }
  return {};
}

}  // namespace

std::string_view Name(LabelErrorMethod method) {
  switch (method) {
    case LabelErrorMethod::kPruneByNoiseRate:
      return "prune_by_noise_rate";
    case LabelErrorMethod::kPruneByClass:
      return "prune_by_class";
    case LabelErrorMethod::kBoth:
      return "both";
    case LabelErrorMethod::kConfidentLearning:
      return "confident_learning";
    case LabelErrorMethod::kPredictedNotGiven:
      return "predicted_neq_given";
    case LabelErrorMethod::kLowNormalizedMargin:
      return "low_normalized_margin";
    case LabelErrorMethod::kLowSelfConfidence:
      return "low_self_confidence";
  }
  return "unknown";
}

template <typename T>
LabelIssues LabelErrorScan<T>::Find(LabelErrorMethod method, const IssueOptions& options) const {
  return Spare(*scanned_, Choose(*scanned_, method, options), options.keep_per_class);
}

template LabelIssues LabelErrorScan<float>::Find(LabelErrorMethod, const IssueOptions&) const;
template LabelIssues LabelErrorScan<double>::Find(LabelErrorMethod, const IssueOptions&) const;

}  // namespace tidewheel::labels
