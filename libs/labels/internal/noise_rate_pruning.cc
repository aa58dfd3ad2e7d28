#include <algorithm>
#include <functional>
#include <mutex>

#include "tidewheel/labels/internal/chunks.h"
#include "tidewheel/labels/internal/scanned_labels.h"

namespace tidewheel::labels::internal {
namespace {

/// Margins above this are few.
constexpr double kFar = 0.1;
/// Divided by the classes: many of the margins that are not above this come from chance.
constexpr double kUsual = 0.3;
/// A margin above this is a suspect's own: other examples' margins are at most 1e-6.
constexpr double kSuspectsOwn = 2e-6;
/// A row's sum is at most 1.001, so p(other) - p(given) is at most this less twice p(given).
constexpr double kLargestSum = 1.0011;

/// A cell of the joint, and how many examples it loses.
struct Cell {
  std::size_t voted = 0;
  std::size_t count = 0;
};

/// Prunes one given class after another; one for each thread.
template <typename T>
class ClassPruning {
 public:
  ClassPruning(const ScannedLabels<T>& scanned, std::vector<std::uint8_t>& marks)
      : scanned_(scanned), marks_(marks) {}

  /// `suspects`: rows of the class that are suspects, ascending; `rows`: all of its rows,
  /// ascending, asked for only where a suspect has to be compared with the others.
  void Run(const std::vector<Cell>& cells, std::span<const Suspect<T>> suspects,
           const std::function<std::span<const std::uint32_t>()>& rows) {
    if (suspects.empty()) return;
    GatherMargins(cells, suspects);
    std::vector<std::size_t> unsettled;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const auto margins = Margins(c, suspects.size());
      // The fewer are looked at, the better; mostly one of the first is enough.
      const double usual = kUsual / static_cast<double>(scanned_.joint.classes);
      if (!TakeAbove(kFar, cells[c].count, margins, suspects) &&
          !TakeAbove(usual, cells[c].count, margins, suspects) &&
          !TakeAbove(kSuspectsOwn, cells[c].count, margins, suspects)) {
        unsettled.push_back(c);
      }
    }
    if (!unsettled.empty()) TakeFromAll(cells, unsettled, suspects, rows());
  }

 private:
  /// Each suspect's row is read once, for all cells of its class.
  void GatherMargins(const std::vector<Cell>& cells, std::span<const Suspect<T>> suspects) {
    margins_.resize(cells.size() * suspects.size());
    constexpr std::size_t kAhead = 2;
    const auto row = [&](std::size_t s) {
      return scanned_.probabilities.Row(suspects[std::min(s, suspects.size() - 1)].row).data();
    };
    for (std::size_t s = 0; s < suspects.size(); ++s) {
      const auto given = static_cast<double>(suspects[s].given);
      const T* probability = row(s);
      // Rows of suspects lie far apart: they are asked for in time.
      const T* next = row(s + kAhead);
      double* margin = margins_.data() + s;
      for (const Cell& cell : cells) {
        __builtin_prefetch(next + cell.voted);
        *margin = static_cast<double>(Clipped(probability[cell.voted])) - given;
        margin += suspects.size();
      }
    }
  }
  std::span<const double> Margins(std::size_t cell, std::size_t suspects) const {
    return std::span(margins_).subspan(cell * suspects, suspects);
  }

  /// Takes the largest margins if `count` of them are above `least`.
  bool TakeAbove(double least, std::size_t count, std::span<const double> margins,
                 std::span<const Suspect<T>> suspects) {
    items_.resize(margins.size());
    // Each is written and counts only if it belongs there: no branch that would often be guessed
    // wrong.
    std::size_t found = 0;
    for (std::size_t s = 0; s < margins.size(); ++s) {
      items_[found] = {-margins[s], suspects[s].row};
      found += margins[s] > least ? 1 : 0;
    }
    if (found < count) return false;
    items_.resize(found);
    Take(count);
    return true;
  }

  /// Looks also at those other examples of the class that could come before the last suspect.
  void TakeFromAll(const std::vector<Cell>& cells, const std::vector<std::size_t>& unsettled,
                   std::span<const Suspect<T>> suspects, std::span<const std::uint32_t> rows) {
    std::vector<double> last;  // The margin of the last suspect that can be taken.
    for (const std::size_t i : unsettled) {
      const auto margins = Margins(i, suspects.size());
      std::vector<double> sorted(margins.begin(), margins.end());
      const auto at =
          sorted.begin() + static_cast<std::ptrdiff_t>(std::min(cells[i].count, sorted.size())) - 1;
      std::nth_element(sorted.begin(), at, sorted.end(), std::greater<>());
      last.push_back(*at);
    }
    const double lowest = *std::min_element(last.begin(), last.end());
    std::vector<std::uint32_t> others;
    auto suspect = suspects.begin();
    for (const std::uint32_t row : rows) {
      if (suspect != suspects.end() && suspect->row == row) {
        ++suspect;
      } else if (kLargestSum - 2 * scanned_.Given(row) >= lowest) {
        others.push_back(row);
      }
    }

    for (std::size_t u = 0; u < unsettled.size(); ++u) {
      const Cell& cell = cells[unsettled[u]];
      const auto margins = Margins(unsettled[u], suspects.size());
      items_.clear();
      for (std::size_t s = 0; s < suspects.size(); ++s) {
        items_.push_back({-margins[s], suspects[s].row});
      }
      for (const std::uint32_t row : others) {
        const double margin = scanned_.Probability(row, cell.voted) - scanned_.Given(row);
        if (margin >= last[u]) items_.push_back({-margin, row});
      }
      Take(cell.count);
    }
  }

  void Take(std::size_t count) {
    KeepLowest(scanned_, items_, count);
    for (const Keyed& item : items_) marks_[item.row] = 1;
  }

  const ScannedLabels<T>& scanned_;
  std::vector<std::uint8_t>& marks_;
  std::vector<double> margins_;  // cells x suspects.
  std::vector<Keyed> items_;
};

}  // namespace

template <typename T>
std::vector<std::uint8_t> PruneByNoiseRate(const ScannedLabels<T>& scanned,
                                           const IssueOptions& options) {
  const ConfidentJoint& joint = scanned.joint;
  const PruneCounts counts = CountsToPrune(joint, options.keep_per_class);
  const ByClass order = GroupByClass(
      scanned.suspects.size(), joint.classes,
      [&](std::uint32_t position) { return scanned.Label(scanned.suspects[position].row); });
  std::vector<Suspect<T>> suspects;  // Together, as they are needed together.
  suspects.reserve(order.items.size());
  for (const std::uint32_t position : order.items) {
    suspects.push_back(scanned.suspects[position]);
  }

  std::vector<std::uint8_t> marks(scanned.labels.size());
  std::once_flag grouped;
  ByClass rows;
  const auto rows_of = [&](std::size_t given) {
    std::call_once(grouped, [&] {
      rows = GroupByClass(scanned.labels.size(), joint.classes,
                          [&](std::uint32_t row) { return scanned.Label(row); });
    });
    return rows.Of(given);
  };
  std::vector<ClassPruning<T>> pruning(ThreadsFor(joint.classes, options.threads),
                                       ClassPruning<T>(scanned, marks));
  ForEachChunk(joint.classes, options.threads, [&](std::size_t given, std::size_t thread) {
    if (joint.class_counts[given] <= options.keep_per_class) return;
    std::vector<Cell> cells;
    for (std::size_t i = joint.row_begin[given]; i < joint.row_begin[given + 1]; ++i) {
      if (counts.removed[i] == 0) continue;
      cells.push_back({static_cast<std::size_t>(joint.cells[i].voted), counts.removed[i]});
    }
    pruning[thread].Run(cells,
                        std::span<const Suspect<T>>(suspects).subspan(
                            order.begin[given], order.begin[given + 1] - order.begin[given]),
                        [&] { return rows_of(given); });
  });
  return marks;
}

template std::vector<std::uint8_t> PruneByNoiseRate(const ScannedLabels<float>&,
                                                    const IssueOptions&);
template std::vector<std::uint8_t> PruneByNoiseRate(const ScannedLabels<double>&,
                                                    const IssueOptions&);

}  // namespace tidewheel::labels::internal
