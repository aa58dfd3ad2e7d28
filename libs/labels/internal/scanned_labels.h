#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/labels/confident_joint.h"
#include "tidewheel/labels/internal/row_votes.h"
#include "tidewheel/labels/label_errors.h"

namespace tidewheel::labels::internal {

/// An example whose given class is not the model's answer.
template <typename T>
struct Suspect {
  std::uint32_t row = 0;
  std::int32_t voted = -1;  // -1: none.
  T given = 0;              // The label's own probability, clipped.
  T top = 0;                // The largest, another class's.
};

/// What one reading of the probabilities leaves behind.
template <typename T>
struct ScannedLabels {
  MatrixView<T> probabilities;
  std::span<const std::int32_t> labels;
  std::vector<Suspect<T>> suspects;  // By row.
  ConfidentJoint joint;
  ClippedValues clipped;

  std::size_t Label(std::uint32_t row) const { return static_cast<std::size_t>(labels[row]); }
  double Probability(std::uint32_t row, std::size_t of) const {
    return static_cast<double>(Clipped(probabilities.values[row * probabilities.columns + of]));
  }
  double Given(std::uint32_t row) const { return Probability(row, Label(row)); }
  double RunnerUp(std::uint32_t row) const {
    return static_cast<double>(internal::RunnerUp(probabilities.Row(row)));
  }
  bool IsOffDiagonal(const Suspect<T>& suspect) const {
    return suspect.voted >= 0 && suspect.voted != labels[suspect.row];
  }
  double Margin(const Suspect<T>& suspect) const {
    return (static_cast<double>(suspect.given) - static_cast<double>(suspect.top) + 1) / 2;
  }
};

/// A row and what it is ordered by, the lowest first.
struct Keyed {
  double key = 0;
  std::uint32_t row = 0;
};

/// Leaves the `count` first of `items`, in no order. Equal keys: the smaller second largest
/// probability, then the smaller row. O(items), and O(classes) for each row equal at the cut.
template <typename T>
void KeepLowest(const ScannedLabels<T>& scanned, std::vector<Keyed>& items, std::size_t count);

/// All of `items` in that order.
template <typename T>
void SortLowest(const ScannedLabels<T>& scanned, std::vector<Keyed>& items);

/// Things grouped by a class: those of class k are items[begin[k]] .. items[begin[k + 1]].
struct ByClass {
  std::vector<std::size_t> begin;
  std::vector<std::uint32_t> items;

  std::span<const std::uint32_t> Of(std::size_t k) const {
    return std::span(items).subspan(begin[k], begin[k + 1] - begin[k]);
  }
};

/// 0 .. count by `class_of(item)`, each class's in ascending order.
template <typename ClassOf>
ByClass GroupByClass(std::size_t count, std::size_t classes, const ClassOf& class_of) {
  ByClass groups;
  groups.begin.assign(classes + 1, 0);
  for (std::uint32_t i = 0; i < count; ++i) ++groups.begin[class_of(i) + 1];
  for (std::size_t k = 0; k < classes; ++k) groups.begin[k + 1] += groups.begin[k];
  groups.items.resize(count);
  std::vector<std::size_t> next(groups.begin.begin(), groups.begin.end() - 1);
  for (std::uint32_t i = 0; i < count; ++i) groups.items[next[class_of(i)]++] = i;
  return groups;
}

/// For each row, 1 where it is a suspect among the `removed` largest margins of a cell of its class
/// (what is marked besides is no suspect).
template <typename T>
std::vector<std::uint8_t> PruneByNoiseRate(const ScannedLabels<T>& scanned,
                                           const IssueOptions& options);

}  // namespace tidewheel::labels::internal
