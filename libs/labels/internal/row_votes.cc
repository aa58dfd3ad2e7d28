#include "tidewheel/labels/internal/row_votes.h"

#include <limits>
#include <string>

#include "tidewheel/labels/internal/row_reduce.h"

namespace tidewheel::labels::internal {
namespace {

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
Result<RowVote<T>> ClippedVote(std::span<const T> values, const Cuts<T>& cuts, std::int32_t label,
                               std::size_t number, RowScratch<T>& scratch) {
  const auto clipped = ClipRow(values, number, scratch.row, scratch.outside);
  if (!clipped) return clipped.error();
  T sum;
  Bits<T> top, confident;
  RowVote<T> vote;
  const T* row = scratch.row.data();
  WidestReducer<T>().reduce(row, 1, values.size(), row + values.size(), cuts.bits.data(), &sum,
                            &top, &vote.predicted, &confident);
  vote.given = row[label];
  vote.top = std::bit_cast<T>(top);
  vote.voted = VoteOf(row, values.size(), cuts, vote.predicted, top, confident);
  return vote;
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
  return static_cast<double>(sum) / kUnits / static_cast<double>(count);
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
template std::int32_t UncertainVote(const float*, std::size_t, const Cuts<float>&, std::uint32_t,
                                    std::int32_t);
template std::int32_t UncertainVote(const double*, std::size_t, const Cuts<double>&, std::uint64_t,
                                    std::int32_t);
template Result<RowVote<float>> ClippedVote(std::span<const float>, const Cuts<float>&,
                                            std::int32_t, std::size_t, RowScratch<float>&);
template Result<RowVote<double>> ClippedVote(std::span<const double>, const Cuts<double>&,
                                             std::int32_t, std::size_t, RowScratch<double>&);
template float RunnerUp(std::span<const float>);
template double RunnerUp(std::span<const double>);

}  // namespace tidewheel::labels::internal
