#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labels/confident_joint.h"
#include "tidewheel/labels/internal/row_reduce.h"

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
  // NaN, which is refused elsewhere, becomes 0.
  const T low = p > 0 ? p : T{0};
  return low < 1 ? low : T{1};
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
  T given = 0;                 // The label's own probability, clipped.
  T top = 0;                   // The largest probability.
  std::int32_t predicted = 0;  // The first class that has it.
  std::int32_t voted = -1;     // -1: none.
};

template <typename T>
const RowReducer<T, Bits<T>>& WidestReducer() {
  static const RowReducer<T, Bits<T>> reducer = RowReducers<T, Bits<T>>().front();
  return reducer;
}

/// What a caller of ReadRows keeps between calls; one for each thread.
template <typename T>
struct RowScratch {
  static constexpr std::size_t kRows = 64;
  std::array<T, kRows> sum{};
  std::array<Bits<T>, kRows> top{};
  std::array<Bits<T>, kRows> confident{};
  std::array<std::int32_t, kRows> predicted{};
  std::array<std::int32_t, kRows> voted{};
  std::array<std::uint8_t, kRows / 8> plain{};
  std::array<std::uint8_t, kRows / 8> votes{};
  std::vector<T> row;
  Outside outside;
};

/// The vote of a row whose largest class is below its threshold while another reaches its own;
/// `confident` are the bits of the largest that does.
template <typename T>
std::int32_t UncertainVote(const T* row, std::size_t classes, const Cuts<T>& cuts,
                           Bits<T> confident, std::int32_t predicted);

template <typename T>
std::int32_t VoteOf(const T* row, std::size_t classes, const Cuts<T>& cuts, std::int32_t predicted,
                    Bits<T> top, Bits<T> confident) {
  if (cuts.bits[static_cast<std::size_t>(predicted)] <= top) return predicted;
  return confident == 0 ? -1 : UncertainVote(row, classes, cuts, confident, predicted);
}

/// The vote of a row that has to be clipped first, or why it cannot be.
template <typename T>
Result<RowVote<T>> ClippedVote(std::span<const T> values, const Cuts<T>& cuts, std::int32_t label,
                               std::size_t number, RowScratch<T>& scratch);

/// A consumer of votes that need not look at each row whose answer and vote (if any) are its label:
/// it has Plain(first, rows, votes) for some of up to eight rows from `first` on; the bits of
/// `rows` tell which, those of `votes` which of these vote.
template <typename Take>
concept TakesPlainRows = requires(const Take& take) {
  take.Plain(std::size_t{0}, std::uint8_t{0});
};

/// Calls `take(i, vote)` for each of some rows of `classes` values, in order; labels are in range.
/// Values up to 1e-3 outside [0, 1] are clipped and added to scratch.outside.
/// kInvalidArgument, with `first_row` added to the row's number: NaN, infinite or farther outside,
/// or a row whose sum is not 1 within 1e-3.
template <typename T, typename Take>
Result<void> ReadRows(std::span<const T> values, std::size_t classes,
                      std::span<const std::int32_t> labels, const Cuts<T>& cuts,
                      std::size_t first_row, RowScratch<T>& scratch, const Take& take) {
  // Few enough that a row is still near when it is looked at again.
  constexpr std::size_t kNear = 32 << 10;
  const std::size_t block =
      std::clamp<std::size_t>(kNear / (classes * sizeof(T)), 1, RowScratch<T>::kRows);
  const T* end = values.data() + values.size();
  const RowReducer<T, Bits<T>>& reducer = WidestReducer<T>();
  const bool is_short = reducer.reduce_short != nullptr && classes * sizeof(T) <= kShortBytes;

  const auto read_one = [&](std::size_t i, std::size_t r) __attribute__((always_inline))
                            ->Result<void> {
    const T* row = values.data() + i * classes;
    const Bits<T> top = scratch.top[r];
    // NaN fails the first comparison, whatever lies outside [0, 1] the second.
    if (!(std::abs(static_cast<double>(scratch.sum[r]) - 1) <= kSureSum) ||
        top > std::bit_cast<Bits<T>>(T{1})) {
      const auto vote = ClippedVote<T>({row, classes}, cuts, labels[i], first_row + i, scratch);
      if (!vote) return vote.error();
      take(i, *vote);
      return {};
    }
    RowVote<T> vote{row[labels[i]], std::bit_cast<T>(top), scratch.predicted[r], -1};
    if (!is_short) {
      vote.voted = VoteOf(row, classes, cuts, vote.predicted, top, scratch.confident[r]);
    } else {
      vote.voted = scratch.voted[r];
      if (cuts.rule == VoteRule::kLargestOfAll && vote.voted >= 0 && vote.voted != vote.predicted) {
        vote.voted = UncertainVote(row, classes, cuts, std::bit_cast<Bits<T>>(row[vote.voted]),
                                   vote.predicted);
      }
    }
    take(i, vote);
    return {};
  };

  for (std::size_t begin = 0; begin < labels.size(); begin += block) {
    const std::size_t rows = std::min(block, labels.size() - begin);
    const T* row = values.data() + begin * classes;
    if (!is_short) {
      reducer.reduce(row, rows, classes, end, cuts.bits.data(), scratch.sum.data(),
                     scratch.top.data(), scratch.predicted.data(), scratch.confident.data());
      for (std::size_t r = 0; r < rows; ++r) {
        if (const auto read = read_one(begin + r, r); !read) return read.error();
      }
      continue;
    }
    reducer.reduce_short(row, rows, classes, cuts.bits.data(), labels.data() + begin,
                         scratch.sum.data(), scratch.top.data(), scratch.predicted.data(),
                         scratch.voted.data(), scratch.plain.data(), scratch.votes.data());
    for (std::size_t r = 0; r < rows; r += 8) {
      std::uint32_t others = rows - r < 8 ? (1U << (rows - r)) - 1 : 0xFF;
      if constexpr (TakesPlainRows<Take>) {
        take.Plain(begin + r, scratch.votes[r / 8]);
        others &= ~std::uint32_t{scratch.plain[r / 8]};
      }
      for (; others != 0; others &= others - 1) {
        const auto j = static_cast<std::size_t>(std::countr_zero(others));
        if (const auto read = read_one(begin + r + j, r + j); !read) return read.error();
      }
    }
  }
  return {};
}

/// Whether the largest probability stays another class's when the label's own is raised by 1e-6:
/// what the model would label so itself is not suspected.
template <typename T>
bool Disagrees(const RowVote<T>& vote, std::int32_t label) {
  if (vote.predicted == label) return false;
  const double raised = static_cast<double>(vote.given) + 1e-6;
  const auto top = static_cast<double>(vote.top);
  return raised < top || (raised == top && vote.predicted < label);
}

/// The largest probability but one (equal to the largest where two have it), clipped.
template <typename T>
T RunnerUp(std::span<const T> row);

/// A sum of probabilities that is the same in every order: whole numbers of 2^-54, which is exact
/// for doubles from 1/4 on and for floats from 2^-30 on; below, each is short by less than 2^-54.
class ProbabilitySum {
 public:
  /// p in [0, 1]. Up to 2^64 of them.
  void Add(double p) {
    const auto units = static_cast<std::uint64_t>(static_cast<std::int64_t>(p * kUnits));
    low_ += units;
    if (low_ < units) ++high_;  // Once in a thousand or more.
  }
  void Add(const ProbabilitySum& other) {
    low_ += other.low_;
    high_ += other.high_ + (low_ < other.low_ ? 1 : 0);
  }
  double Mean(std::uint64_t count) const;

 private:
  static constexpr double kUnits = 0x1p54;

  std::uint64_t low_ = 0;
  std::uint64_t high_ = 0;
};

/// The class thresholds of sums over the examples given each class.
std::vector<double> Thresholds(std::span<const ProbabilitySum> sums,
                               std::span<const std::uint64_t> counts);

}  // namespace tidewheel::labels::internal
