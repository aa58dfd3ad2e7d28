#include "tidewheel/labels/internal/row_votes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "tidewheel/labels/internal/row_reduce.h"

namespace tidewheel::labels::internal {
namespace {

/// Rows whose fast sum is this much nearer to 1 than allowed need no second look: the lanes' order
/// of adding depends on the machine, what is refused does not.
constexpr double kSumSlack = 1e-4;

/// With one probability above this, no other of a good row reaches it.
constexpr double kMajority = 0.5 + kTolerance;

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", value);
  return text;
}

/// A row that is not plainly good: clipped into `row`, or why it cannot be.
template <typename T>
Result<void> ClipRow(std::span<const T> values, std::size_t number, std::vector<T>& row,
                     Outside& outside) {
  row.assign(values.begin(), values.end());
  double sum = 0;
  for (std::size_t k = 0; k < row.size(); ++k) {
    const auto p = static_cast<double>(row[k]);
    const auto at = [&] {
      return "row " + std::to_string(number) + ", class " + std::to_string(k);
    };
    if (!std::isfinite(p)) {
      return Error{ErrorCode::kInvalidArgument,
                   at() + ": probability is " + (std::isnan(p) ? "NaN" : "infinite")};
    }
    const double excess = std::max(-p, p - 1);
    if (excess > kTolerance) {
      return Error{ErrorCode::kInvalidArgument, at() + ": probability " + Number(p) +
                                                    " is outside [0, 1] by more than " +
                                                    Number(kTolerance)};
    }
    if (excess > 0) outside.Add({1, excess});
    row[k] = Clipped(row[k]);
    sum += static_cast<double>(row[k]);
  }
  if (std::abs(sum - 1) > kTolerance) {
    return Error{ErrorCode::kInvalidArgument, "row " + std::to_string(number) +
                                                  ": probabilities sum to " + Number(sum) +
                                                  ", not to 1 within " + Number(kTolerance)};
  }
  return {};
}

/// The vote of a row whose largest class is below its threshold while another reaches its own.
template <typename T>
std::int32_t UncertainVote(const T* row, std::size_t classes, const Cuts<T>& cuts,
                           Bits<T> confident, std::int32_t predicted) {
  std::size_t first = classes;
  std::size_t reached = 0;
  for (std::size_t k = 0; k < classes; ++k) {
    const auto bits = std::bit_cast<Bits<T>>(row[k]);
    if (bits < cuts.bits[k]) continue;
    ++reached;
    if (bits == confident && first == classes) first = k;
  }
  if (cuts.rule == VoteRule::kLargestOfAll && reached > 1) return predicted;
  return static_cast<std::int32_t>(first);
}

template <typename T>
RowVote<T> Vote(const T* row, std::size_t classes, const Cuts<T>& cuts, std::int32_t label, T given,
                Bits<T> top, Bits<T> confident) {
  RowVote<T> vote;
  vote.top = std::bit_cast<T>(top);
  vote.predicted = given > static_cast<T>(kMajority)
                       ? label
                       : static_cast<std::int32_t>(FindBits(row, classes, top));
  if (cuts.bits[static_cast<std::size_t>(vote.predicted)] <= top) {
    vote.voted = vote.predicted;
  } else if (confident != 0) {
    vote.voted = UncertainVote(row, classes, cuts, confident, vote.predicted);
  }
  return vote;
}

}  // namespace

void Outside::Add(const Outside& other) {
  values += other.values;
  farthest = std::max(farthest, other.farthest);
}

template <typename T>
Bits<T> CutBits(double threshold) {
  const double cut = threshold - kThresholdSlack;
  const auto nearest = static_cast<T>(cut);
  return std::bit_cast<Bits<T>>(static_cast<double>(nearest) < cut
                                    ? std::nextafter(nearest, std::numeric_limits<T>::infinity())
                                    : nearest);
}

template <typename T>
Cuts<T> MakeCuts(std::span<const double> thresholds, VoteRule rule) {
  Cuts<T> cuts;
  cuts.rule = rule;
  cuts.bits.reserve(thresholds.size() + kVectorBytes / sizeof(T));
  for (const double threshold : thresholds) cuts.bits.push_back(CutBits<T>(threshold));
  cuts.bits.resize(thresholds.size() + kVectorBytes / sizeof(T), ~Bits<T>{0});
  return cuts;
}

template <typename T>
Result<void> ReadRows(std::span<const T> values, std::size_t classes,
                      std::span<const std::int32_t> labels, std::span<const T> given,
                      const Cuts<T>& cuts, std::size_t first_row, RowScratch<T>& scratch,
                      std::span<RowVote<T>> votes) {
  // Few enough that a row is still near when it is looked at again.
  constexpr std::size_t kNear = 32 << 10;
  constexpr std::size_t kMost = 64;
  const std::size_t block = std::clamp<std::size_t>(kNear / (classes * sizeof(T)), 1, kMost);
  scratch.sum.resize(kMost);
  scratch.top.resize(kMost);
  scratch.confident.resize(kMost);
  const T* end = values.data() + values.size();

  for (std::size_t begin = 0; begin < labels.size(); begin += block) {
    const std::size_t rows = std::min(block, labels.size() - begin);
    const T* row = values.data() + begin * classes;
    ReduceRows(row, rows, classes, end, cuts.bits.data(), scratch.sum.data(), scratch.top.data(),
               scratch.confident.data());
    for (std::size_t r = 0; r < rows; ++r, row += classes) {
      const std::size_t i = begin + r;
      // NaN fails the first comparison; whatever lies outside [0, 1] the second.
      if (std::abs(static_cast<double>(scratch.sum[r]) - 1) <= kTolerance - kSumSlack &&
          scratch.top[r] <= std::bit_cast<Bits<T>>(T{1})) {
        votes[i] =
            Vote(row, classes, cuts, labels[i], given[i], scratch.top[r], scratch.confident[r]);
        continue;
      }
      const auto clipped = ClipRow({row, classes}, first_row + i, scratch.row, scratch.outside);
      if (!clipped) return clipped.error();
      T sum;
      Bits<T> top, confident;
      const T* copy = scratch.row.data();
      ReduceRows(copy, 1, classes, copy + classes, cuts.bits.data(), &sum, &top, &confident);
      votes[i] = Vote(copy, classes, cuts, labels[i], given[i], top, confident);
    }
  }
  return {};
}

template <typename T>
T RunnerUp(std::span<const T> row) {
  T first = 0;
  T second = 0;
  for (const T value : row) {
    const T p = Clipped(value);
    second = std::max(second, std::min(first, p));
    first = std::max(first, p);
  }
  return second;
}

double ProbabilitySum::Mean(std::uint64_t count) const {
  __extension__ using Wide = unsigned __int128;
  const Wide sum = (static_cast<Wide>(high_) << 64) | low_;
  return static_cast<double>(sum) * 0x1p-62 / static_cast<double>(count);
}

std::vector<double> Thresholds(std::span<const ProbabilitySum> sums,
                               std::span<const std::uint64_t> counts) {
  std::vector<double> thresholds(sums.size(), kUnreachableThreshold);
  for (std::size_t k = 0; k < sums.size(); ++k) {
    if (counts[k] > 0) thresholds[k] = std::max(sums[k].Mean(counts[k]), kSmallestThreshold);
  }
  return thresholds;
}

template Bits<float> CutBits<float>(double);
template Bits<double> CutBits<double>(double);
template Cuts<float> MakeCuts(std::span<const double>, VoteRule);
template Cuts<double> MakeCuts(std::span<const double>, VoteRule);
template Result<void> ReadRows(std::span<const float>, std::size_t, std::span<const std::int32_t>,
                               std::span<const float>, const Cuts<float>&, std::size_t,
                               RowScratch<float>&, std::span<RowVote<float>>);
template Result<void> ReadRows(std::span<const double>, std::size_t, std::span<const std::int32_t>,
                               std::span<const double>, const Cuts<double>&, std::size_t,
                               RowScratch<double>&, std::span<RowVote<double>>);
template float RunnerUp(std::span<const float>);
template double RunnerUp(std::span<const double>);

}  // namespace tidewheel::labels::internal
