#include "tidewheel/labels/label_error_stream.h"

#include <algorithm>
#include <limits>
#include <string>
#include <unordered_map>
#include <utility>

#include "tidewheel/labels/internal/row_votes.h"

namespace tidewheel::labels {
namespace {

Error Invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> CheckClasses(std::size_t classes) {
  if (classes >= 2 && classes <= std::numeric_limits<std::int32_t>::max()) return {};
  return Invalid(std::to_string(classes) + " classes; label errors need 2 to 2^31 - 1");
}

void Add(ClippedValues& clipped, std::uint64_t values, double farthest) {
  clipped.values += values;
  clipped.farthest = std::max(clipped.farthest, farthest);
}

/// One sample's vote, checked as a row of a matrix is.
Result<internal::RowVote<double>> ReadSample(std::span<const double> probabilities,
                                             std::int32_t label, std::size_t classes,
                                             std::uint64_t number,
                                             const internal::Cuts<double>& cuts,
                                             internal::RowScratch<double>& scratch,
                                             ClippedValues& clipped) {
  const auto at = [&] { return "row " + std::to_string(number) + ": "; };
  if (probabilities.size() != classes) {
    return Invalid(at() + std::to_string(probabilities.size()) + " probabilities for " +
                   std::to_string(classes) + " classes");
  }
  if (label < 0 || static_cast<std::size_t>(label) >= classes) {
    return Invalid(at() + "label " + std::to_string(label) + " is not one of " +
                   std::to_string(classes) + " classes from 0");
  }
  internal::RowVote<double> vote;
  scratch.outside = {};
  const auto read = internal::ReadRows<double>(
      probabilities, classes, {&label, 1}, cuts, number, scratch,
      [&](std::size_t, const internal::RowVote<double>& found) { vote = found; });
  if (!read) return read.error();
  Add(clipped, scratch.outside.values, scratch.outside.farthest);
  return vote;
}

}  // namespace

struct ThresholdLearner::State {
  explicit State(std::size_t classes)
      : sums(classes),
        counts(classes),
        no_cuts(internal::MakeCuts<double>(std::vector<double>(classes, kUnreachableThreshold),
                                           VoteRule::kLargestConfident)) {}

  std::vector<internal::ProbabilitySum> sums;
  std::vector<std::uint64_t> counts;
  std::uint64_t samples = 0;
  ClippedValues clipped;
  internal::Cuts<double> no_cuts;  // Rows are checked as everywhere, without a vote.
  internal::RowScratch<double> scratch;
};

ThresholdLearner::ThresholdLearner(std::unique_ptr<State> state) : state_(std::move(state)) {}
ThresholdLearner::ThresholdLearner(ThresholdLearner&&) noexcept = default;
ThresholdLearner& ThresholdLearner::operator=(ThresholdLearner&&) noexcept = default;
ThresholdLearner::~ThresholdLearner() = default;

Result<ThresholdLearner> ThresholdLearner::Create(std::size_t classes) {
  if (const auto good = CheckClasses(classes); !good) return good.error();
  return ThresholdLearner(std::make_unique<State>(classes));
}

std::uint64_t ThresholdLearner::samples() const { return state_->samples; }
const ClippedValues& ThresholdLearner::clipped() const { return state_->clipped; }

Result<void> ThresholdLearner::Learn(std::span<const double> probabilities, std::int32_t label) {
  const auto vote = ReadSample(probabilities, label, state_->sums.size(), state_->samples,
                               state_->no_cuts, state_->scratch, state_->clipped);
  if (!vote) return vote.error();
  const auto k = static_cast<std::size_t>(label);
  state_->sums[k].Add(internal::Clipped(probabilities[k]));
  ++state_->counts[k];
  ++state_->samples;
  return {};
}

Result<void> ThresholdLearner::Merge(const ThresholdLearner& other) {
  if (other.state_->sums.size() != state_->sums.size()) {
    return Invalid("thresholds of " + std::to_string(other.state_->sums.size()) +
                   " classes do not merge with those of " + std::to_string(state_->sums.size()));
  }
  for (std::size_t k = 0; k < state_->sums.size(); ++k) {
    state_->sums[k].Add(other.state_->sums[k]);
    state_->counts[k] += other.state_->counts[k];
  }
  state_->samples += other.state_->samples;
  Add(state_->clipped, other.state_->clipped.values, other.state_->clipped.farthest);
  return {};
}

std::vector<double> ThresholdLearner::Thresholds() const {
  return internal::Thresholds(state_->sums, state_->counts);
}

double ThresholdLearner::Threshold(std::int32_t label) const {
  const auto k = static_cast<std::size_t>(label);
  return internal::Thresholds({&state_->sums[k], 1}, {&state_->counts[k], 1})[0];
}

struct VoteCounter::State {
  State(std::vector<double> all, VoteRule votes)
      : thresholds(std::move(all)),
        cuts(internal::MakeCuts<double>(thresholds, votes)),
        class_counts(thresholds.size()),
        diagonal(thresholds.size()) {}

  std::vector<double> thresholds;
  internal::Cuts<double> cuts;
  std::vector<std::uint64_t> class_counts;
  std::vector<std::uint64_t> diagonal;
  std::unordered_map<std::uint64_t, std::uint64_t> off_diagonal;  // By given x classes + voted.
  std::uint64_t undecided = 0;
  std::uint64_t samples = 0;
  ClippedValues clipped;
  internal::RowScratch<double> scratch;
};

VoteCounter::VoteCounter(std::unique_ptr<State> state) : state_(std::move(state)) {}
VoteCounter::VoteCounter(VoteCounter&&) noexcept = default;
VoteCounter& VoteCounter::operator=(VoteCounter&&) noexcept = default;
VoteCounter::~VoteCounter() = default;

std::uint64_t VoteCounter::samples() const { return state_->samples; }
const ClippedValues& VoteCounter::clipped() const { return state_->clipped; }

Result<VoteCounter> VoteCounter::Create(std::vector<double> thresholds, VoteRule votes) {
  if (const auto good = CheckClasses(thresholds.size()); !good) return good.error();
  for (std::size_t k = 0; k < thresholds.size(); ++k) {
    if (thresholds[k] > 0 && thresholds[k] <= kUnreachableThreshold) {
      thresholds[k] = std::max(thresholds[k], kSmallestThreshold);
      continue;
    }
    return Invalid("class " + std::to_string(k) + ": threshold " + std::to_string(thresholds[k]) +
                   " is not above 0 and at most 2");
  }
  return VoteCounter(std::make_unique<State>(std::move(thresholds), votes));
}

Result<StreamedLabel> VoteCounter::Count(std::span<const double> probabilities,
                                         std::int32_t label) {
  const auto vote = ReadSample(probabilities, label, state_->thresholds.size(), state_->samples,
                               state_->cuts, state_->scratch, state_->clipped);
  if (!vote) return vote.error();
  const auto given = static_cast<std::size_t>(label);
  StreamedLabel sample;
  sample.voted = vote->voted;
  sample.predicted = vote->predicted;
  sample.self_confidence = vote->given;
  sample.disagrees = internal::Disagrees(*vote, label);
  sample.suspected = sample.disagrees && vote->voted >= 0 && vote->voted != label;
  if (vote->voted < 0) {
    ++state_->undecided;
  } else if (vote->voted == label) {
    ++state_->diagonal[given];
  } else {
    ++state_
          ->off_diagonal[given * state_->thresholds.size() + static_cast<std::size_t>(vote->voted)];
  }
  ++state_->class_counts[given];
  ++state_->samples;
  return sample;
}

Result<void> VoteCounter::Merge(const VoteCounter& other) {
  if (other.state_->thresholds != state_->thresholds ||
      other.state_->cuts.rule != state_->cuts.rule) {
    return Invalid("votes under other thresholds or another rule do not merge");
  }
  for (std::size_t k = 0; k < state_->thresholds.size(); ++k) {
    state_->class_counts[k] += other.state_->class_counts[k];
    state_->diagonal[k] += other.state_->diagonal[k];
  }
  for (const auto& [cell, samples] : other.state_->off_diagonal)
    state_->off_diagonal[cell] += samples;
  state_->undecided += other.state_->undecided;
  state_->samples += other.state_->samples;
  Add(state_->clipped, other.state_->clipped.values, other.state_->clipped.farthest);
  return {};
}

void VoteCounter::MoveThreshold(std::int32_t label, double threshold) {
  const auto k = static_cast<std::size_t>(label);
  state_->thresholds[k] = std::max(threshold, kSmallestThreshold);
  state_->cuts.bits[k] = internal::CutBits<double>(state_->thresholds[k]);
}

Result<ConfidentJoint> VoteCounter::Joint() const {
  if (state_->samples == 0)
    return Error{ErrorCode::kFailedPrecondition, "no sample was counted yet"};
  std::vector<OffDiagonal> cells;
  cells.reserve(state_->off_diagonal.size());
  for (const auto& [cell, samples] : state_->off_diagonal) {
    cells.push_back({static_cast<std::int32_t>(cell / state_->thresholds.size()),
                     static_cast<std::int32_t>(cell % state_->thresholds.size()), samples});
  }
  return CompleteJoint(state_->thresholds, state_->class_counts, state_->diagonal, std::move(cells),
                       state_->undecided);
}

Result<LabelErrorStream> LabelErrorStream::Create(std::size_t classes, VoteRule votes) {
  auto learner = ThresholdLearner::Create(classes);
  if (!learner) return learner.error();
  auto counter = VoteCounter::Create(learner->Thresholds(), votes);
  if (!counter) return counter.error();
  return LabelErrorStream(*std::move(learner), *std::move(counter));
}

Result<StreamedLabel> LabelErrorStream::Observe(std::span<const double> probabilities,
                                                std::int32_t label) {
  if (const auto learned = thresholds_.Learn(probabilities, label); !learned) {
    return learned.error();
  }
  votes_.MoveThreshold(label, thresholds_.Threshold(label));
  return votes_.Count(probabilities, label);
}

}  // namespace tidewheel::labels
