#include "tidewheel/labels/confident_joint.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

namespace tidewheel::labels {
namespace {

/// A cell's place in the dense matrix, voted class by voted class, and its value.
struct Placed {
  std::uint64_t place = 0;
  double value = 0;
};

/// The sum of a long row of numbers of which only those that are not zero are there, by place.
/// Pairwise (Higham 1993): halves down to blocks of at most 128, each in eight lanes. Adding a zero
/// changes no bit, so zeros are left out. One use, from begin to end.
class PairwiseSum {
 public:
  explicit PairwiseSum(const std::vector<Placed>& values)
      : next_(values.begin()), end_(values.end()) {}

  double Range(std::uint64_t begin, std::uint64_t count) {
    if (next_ == end_ || next_->place >= begin + count) return 0;
    if (count <= kBlock) return Block(begin, count);
    const std::uint64_t half = count / 2 / kLanes * kLanes;
    const double first = Range(begin, half);
    return first + Range(begin + half, count - half);
  }

 private:
  static constexpr std::uint64_t kBlock = 128;
  static constexpr std::uint64_t kLanes = 8;

  double Block(std::uint64_t begin, std::uint64_t count) {
    std::array<double, kLanes> lane{};
    const std::uint64_t laned = begin + count / kLanes * kLanes;
    for (; next_ != end_ && next_->place < laned; ++next_) {
      lane[(next_->place - begin) % kLanes] += next_->value;
    }
    double sum =
        ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
    for (; next_ != end_ && next_->place < begin + count; ++next_) sum += next_->value;
    return sum;
  }

  std::vector<Placed>::const_iterator next_;
  std::vector<Placed>::const_iterator end_;
};

double Sum(const ConfidentJoint& joint, const std::vector<double>& values) {
  std::vector<std::size_t> next(joint.classes + 1);
  for (const JointCell& cell : joint.cells) ++next[static_cast<std::size_t>(cell.voted) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  std::vector<Placed> placed(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto voted = static_cast<std::size_t>(joint.cells[i].voted);
    placed[next[voted]++] = {voted * joint.classes + static_cast<std::size_t>(joint.cells[i].given),
                             values[i]};
  }
  return PairwiseSum(placed).Range(0, std::uint64_t{joint.classes} * joint.classes);
}

/// Whole numbers with the sum of `row.expected`, each as near as that allows.
void RoundRow(std::span<JointCell> row, std::uint64_t total) {
  std::int64_t sum = 0;
  for (JointCell& cell : row) {
    cell.calibrated = static_cast<std::uint64_t>(std::nearbyint(cell.expected));
    sum += static_cast<std::int64_t>(cell.calibrated);
  }
  const std::int64_t missing = static_cast<std::int64_t>(total) - sum;
  if (missing == 0) return;

  std::vector<std::size_t> order(row.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto lost = [&](std::size_t i) {
    return row[i].expected - static_cast<double>(row[i].calibrated);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return lost(a) < lost(b); });
  if (missing > 0) std::reverse(order.begin(), order.end());
  // Nearest whole numbers are off by at most a half each, so that this ends in the first round.
  for (std::uint64_t left = static_cast<std::uint64_t>(std::llabs(missing)); left > 0;) {
    for (const std::size_t i : order) {
      if (left == 0) break;
      if (missing < 0 && row[i].calibrated == 0) continue;
      row[i].calibrated += missing > 0 ? std::uint64_t{1} : ~std::uint64_t{0};
      --left;
    }
  }
}

void Calibrate(ConfidentJoint& joint) {
  std::vector<double> scaled(joint.cells.size());
  for (std::size_t given = 0; given < joint.classes; ++given) {
    std::uint64_t confident = 0;
    for (const JointCell& cell : joint.Row(given)) confident += cell.confident;
    for (std::size_t i = joint.row_begin[given]; i < joint.row_begin[given + 1]; ++i) {
      scaled[i] = static_cast<double>(joint.cells[i].confident) / static_cast<double>(confident) *
                  static_cast<double>(joint.class_counts[given]);
    }
  }
  const double total = Sum(joint, scaled);
  const auto examples = static_cast<double>(joint.examples);
  for (std::size_t i = 0; i < scaled.size(); ++i) {
    joint.cells[i].expected = total > 0 ? scaled[i] / total * examples : 0;
  }
  for (std::size_t given = 0; given < joint.classes; ++given) {
    RoundRow(
        std::span(joint.cells)
            .subspan(joint.row_begin[given], joint.row_begin[given + 1] - joint.row_begin[given]),
        joint.class_counts[given]);
  }
}

}  // namespace

ConfidentJoint CompleteJoint(std::vector<double> thresholds,
                             std::vector<std::uint64_t> class_counts,
                             std::span<const std::uint64_t> diagonal,
                             std::vector<OffDiagonal> off_diagonal, std::uint64_t undecided) {
  ConfidentJoint joint;
  joint.classes = class_counts.size();
  joint.examples = std::accumulate(class_counts.begin(), class_counts.end(), std::uint64_t{0});
  joint.thresholds = std::move(thresholds);
  joint.class_counts = std::move(class_counts);
  joint.undecided = undecided;
  const auto before = [](const OffDiagonal& a, const OffDiagonal& b) {
    return std::pair(a.given, a.voted) < std::pair(b.given, b.voted);
  };
  if (!std::is_sorted(off_diagonal.begin(), off_diagonal.end(), before)) {
    std::sort(off_diagonal.begin(), off_diagonal.end(), before);
  }

  joint.cells.reserve(off_diagonal.size() + joint.classes);
  auto next = off_diagonal.begin();
  for (std::size_t given = 0; given < joint.classes; ++given) {
    joint.row_begin.push_back(joint.cells.size());
    const auto self = static_cast<std::int32_t>(given);
    const auto add_until = [&](std::int32_t voted) {
      for (; next != off_diagonal.end() && next->given == self && next->voted < voted; ++next) {
        joint.cells.push_back({self, next->voted, next->examples});
        joint.off_diagonal += next->examples;
      }
    };
    add_until(self);
    joint.cells.push_back({self, self, std::max<std::uint64_t>(diagonal[given], 1)});
    add_until(static_cast<std::int32_t>(joint.classes));
  }
  joint.row_begin.push_back(joint.cells.size());
  Calibrate(joint);
  return joint;
}

PruneCounts CountsToPrune(const ConfidentJoint& joint, std::uint64_t keep) {
  PruneCounts counts;
  counts.kept.resize(joint.classes);
  counts.removed.resize(joint.cells.size());
  for (std::size_t given = 0; given < joint.classes; ++given) {
    const auto row = joint.Row(given);
    std::uint64_t diagonal = 0;
    std::size_t filled = 0;
    for (const JointCell& cell : row) {
      if (cell.voted == cell.given) diagonal = cell.calibrated;
      filled += cell.calibrated > 0 ? 1 : 0;
    }
    counts.kept[given] = std::max(diagonal, keep);
    const double share = static_cast<double>(counts.kept[given] - diagonal) /
                         std::max(static_cast<double>(filled) - 1, 1.0);
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (row[i].voted == row[i].given) continue;
      counts.removed[joint.row_begin[given] + i] =
          static_cast<std::uint64_t>(std::max(static_cast<double>(row[i].calibrated) - share, 0.0));
    }
  }
  return counts;
}

}  // namespace tidewheel::labels
