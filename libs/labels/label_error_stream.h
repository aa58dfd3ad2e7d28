#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labels/confident_joint.h"
#include "tidewheel/labels/label_errors.h"

/// Confident learning sample by sample: O(classes) memory for thresholds, and one number for each
/// cell of the joint that has a vote, at most classes^2, whatever the number of samples.
///
/// In two passes (ThresholdLearner over all samples, then VoteCounter with its thresholds over the
/// same samples) the thresholds and the joint equal LabelErrorScan's bit for bit, in any order of
/// samples and merged from any parts; the samples told `suspected` are the issues of
/// kConfidentLearning, and those told `disagrees` the issues of kPredictedNotGiven, both with
/// keep_per_class = 0.
///
/// In one pass (LabelErrorStream) the thresholds equal the batch's after the last sample, the joint
/// does not: early samples voted under early thresholds, and a class not seen so far got no vote.
/// On samples in random order such votes become rarer as the thresholds settle; on samples sorted
/// by class the joint is worthless.
///
/// The pruning methods, the low-score methods and "a class keeps its examples" rank all examples
/// and have no streaming form.
///
/// No class here is thread-safe: one for each thread, then Merge(). All methods that take a sample
/// give kInvalidArgument for what LabelErrorScan::Read refuses in a row (the row named is the
/// number of the sample, from 0), and are then as before the call. O(classes) a sample.
namespace tidewheel::labels {

/// The first pass.
class ThresholdLearner {
 public:
  /// kInvalidArgument: fewer than two classes, or 2^31 or more.
  static Result<ThresholdLearner> Create(std::size_t classes);
  ThresholdLearner(ThresholdLearner&&) noexcept;
  ThresholdLearner& operator=(ThresholdLearner&&) noexcept;
  ~ThresholdLearner();

  Result<void> Learn(std::span<const double> probabilities, std::int32_t label);
  /// kInvalidArgument: other classes.
  Result<void> Merge(const ThresholdLearner& other);

  std::uint64_t samples() const;
  const ClippedValues& clipped() const;
  /// kUnreachableThreshold for a class without samples.
  std::vector<double> Thresholds() const;
  double Threshold(std::int32_t label) const;

 private:
  struct State;
  explicit ThresholdLearner(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

/// What is known of one sample.
struct StreamedLabel {
  std::int32_t voted = -1;     // -1: it reaches no class's threshold.
  std::int32_t predicted = 0;  // The most probable class, the first of several.
  bool disagrees = false;      // The model's answer is not the label, by more than 1e-6.
  bool suspected = false;      // And it voted, for another class than the label.
  double self_confidence = 0;
};

/// The second pass.
class VoteCounter {
 public:
  /// kInvalidArgument: fewer than two thresholds, 2^31 or more, or one that is not in (0, 2].
  static Result<VoteCounter> Create(std::vector<double> thresholds,
                                    VoteRule votes = VoteRule::kLargestConfident);
  VoteCounter(VoteCounter&&) noexcept;
  VoteCounter& operator=(VoteCounter&&) noexcept;
  ~VoteCounter();

  Result<StreamedLabel> Count(std::span<const double> probabilities, std::int32_t label);
  /// kInvalidArgument: other thresholds or another rule.
  Result<void> Merge(const VoteCounter& other);
  /// From the next sample on. The label in range, the threshold in (0, 2].
  void MoveThreshold(std::int32_t label, double threshold);

  std::uint64_t samples() const;
  const ClippedValues& clipped() const;
  /// Of the votes so far. kFailedPrecondition: none yet. O(cells log cells).
  Result<ConfidentJoint> Joint() const;

 private:
  struct State;
  explicit VoteCounter(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

/// Both in one pass.
class LabelErrorStream {
 public:
  /// kInvalidArgument: fewer than two classes, or 2^31 or more.
  static Result<LabelErrorStream> Create(std::size_t classes,
                                         VoteRule votes = VoteRule::kLargestConfident);

  /// Learns from the sample, then counts its vote under the thresholds so far.
  Result<StreamedLabel> Observe(std::span<const double> probabilities, std::int32_t label);

  std::uint64_t samples() const { return votes_.samples(); }
  const ClippedValues& clipped() const { return votes_.clipped(); }
  std::vector<double> Thresholds() const { return thresholds_.Thresholds(); }
  /// As VoteCounter::Joint; its thresholds are the last ones.
  Result<ConfidentJoint> Joint() const { return votes_.Joint(); }

 private:
  LabelErrorStream(ThresholdLearner thresholds, VoteCounter votes)
      : thresholds_(std::move(thresholds)), votes_(std::move(votes)) {}

  ThresholdLearner thresholds_;
  VoteCounter votes_;
};

}  // namespace tidewheel::labels
