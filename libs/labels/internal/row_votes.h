#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labels/confident_joint.h"

/// What one row of probabilities says, in one reading of it: whether it is good, which class is the
/// largest, and which it votes for.
namespace tidewheel::labels::internal {

/// Probabilities in [0, 1] are ordered as their bits are, taken as whole numbers; every value
/// outside (and NaN) has bits above those of 1.
template <typename T>
using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

/// How far a probability may lie outside [0, 1], and a row's sum from 1.
inline constexpr double kTolerance = 1e-3;

template <typename T>
T Clipped(T p) {
  // Also true for NaN, which is refused elsewhere.
  if (!(p > 0)) return 0;
  return p < 1 ? p : T{1};
}

/// What the values of a matrix that lay outside [0, 1] amounted to.
struct Outside {
  std::uint64_t values = 0;
  double farthest = 0;

  void Add(const Outside& other);
};

/// Thresholds as a row's values meet them.
template <typename T>
struct Cuts {
  /// The smallest T at or above threshold - 1e-6, as bits, then padding that nothing reaches.
  std::vector<Bits<T>> bits;
  VoteRule rule = VoteRule::kLargestConfident;
};
template <typename T>
Bits<T> CutBits(double threshold);
template <typename T>
Cuts<T> MakeCuts(std::span<const double> thresholds, VoteRule rule);

template <typename T>
struct RowVote {
  T top = 0;                   // The largest probability.
  std::int32_t predicted = 0;  // The first class that has it.
  std::int32_t voted = -1;     // -1: none.
};

/// What a caller of ReadRows keeps between calls; one for each thread.
template <typename T>
struct RowScratch {
  std::vector<T> sum;
  std::vector<Bits<T>> top;
  std::vector<Bits<T>> confident;
  std::vector<T> row;
  Outside outside;
};

/// The votes of some rows of `classes` values each, row by row. `given` says for each the
/// probability of its own label (clipped), which saves looking for the largest where that one must
/// be. Values up to 1e-3 outside [0, 1] are clipped and added to scratch.outside.
/// kInvalidArgument, with `first_row` added to the row's number: NaN, infinite or farther outside,
/// or a row whose sum is not 1 within 1e-3.
template <typename T>
Result<void> ReadRows(std::span<const T> values, std::size_t classes,
                      std::span<const std::int32_t> labels, std::span<const T> given,
                      const Cuts<T>& cuts, std::size_t first_row, RowScratch<T>& scratch,
                      std::span<RowVote<T>> votes);

/// Whether the largest probability stays another class's when the label's own is raised by 1e-6:
/// what the model would label so itself is not suspected.
template <typename T>
bool Disagrees(const RowVote<T>& vote, std::int32_t label, T given) {
  if (vote.predicted == label) return false;
  const double raised = static_cast<double>(given) + 1e-6;
  const auto top = static_cast<double>(vote.top);
  return raised < top || (raised == top && vote.predicted < label);
}

/// The largest probability but one (equal to the largest where two have it), clipped.
template <typename T>
T RunnerUp(std::span<const T> row);

/// A sum of probabilities that is the same in every order: whole numbers of 2^-62, which is exact
/// for all above 2^-10 in double precision.
class ProbabilitySum {
 public:
  /// p in [0, 1]. Up to 2^64 of them.
  void Add(double p) {
    const auto units = static_cast<std::uint64_t>(p * 0x1p62);
    low_ += units;
    high_ += low_ < units ? 1 : 0;
  }
  void Add(const ProbabilitySum& other) {
    low_ += other.low_;
    high_ += other.high_ + (low_ < other.low_ ? 1 : 0);
  }
  double Mean(std::uint64_t count) const;

 private:
  std::uint64_t low_ = 0;
  std::uint64_t high_ = 0;
};

/// The class thresholds of sums over the examples given each class.
std::vector<double> Thresholds(std::span<const ProbabilitySum> sums,
                               std::span<const std::uint64_t> counts);

}  // namespace tidewheel::labels::internal
