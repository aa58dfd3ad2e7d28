#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/stats/intervals.h"
#include "tidewheel/stats/model_comparison.h"
#include "tidewheel/stats/paired_difference.h"

namespace tidewheel::stats {

struct SequentialOptions {
  double alpha = 0.05;  // Chance of any wrong decision, however often and long one looks.
  double margin = 0;  // Pass: better than -margin; fail: worse. In (-1, 1); below 0 asks for more.
};

/// What is known at one look.
struct SequentialLook {
  Verdict verdict;
  std::uint64_t pairs = 0;       // Values the test has seen.
  std::uint64_t decided_at = 0;  // Pairs when pass or fail was first certain; 0: not yet.
  double difference = 0;         // Candidate less baseline, so far.
  Interval interval;   // Of the difference, with confidence 1 - alpha at all looks at once.
  double p_value = 1;  // Of "the difference is -margin", at all looks at once.
};

/// Whether the mean of numbers of -1 to 1, counted by value, is above or below -margin, decided as
/// soon as it is certain enough. For any bet on "above m" the product of 1 + share (x - m) / (1 +
/// m) has expectation 1 at most if the mean is m or less, so it ever reaches 1/a with probability a
/// at most (Ville 1939). Twenty shares are mixed: a mixture over bets, as the mixture SPRT (Robbins
/// 1970; Johari, Pekelis, Walsh 2015) is one over effects. Testing by betting (Waudby-Smith, Ramdas
/// 2023) is exact for every number of samples and share of errors, as there is no variance to
/// estimate. Each side has half of alpha. A decision stays. Not safe for several threads at once.
class SequentialMeanTest {
 public:
  /// `values` are the distinct numbers that may come. kInvalidArgument: none or one outside -1 to
  /// 1, alpha not above 0 and below 1, or a margin not above -1 and below 1.
  static Result<SequentialMeanTest> Make(std::vector<double> values,
                                         const SequentialOptions& options = {});

  /// Counts the value of this index (below the number of values), and looks. O(values).
  void Add(std::size_t value_index);
  /// Many at once, one count for each value: one look at the end of them.
  void Add(std::span<const std::uint64_t> times);

  /// kPass, kFail or kInconclusive. O(1).
  Answer decision() const { return decided_; }
  /// The same with everything else that is known; kNotEvaluated before the first value. The
  /// interval is of the counts alone, whatever their order. O(values), some thousand logarithms.
  SequentialLook Look() const;

 private:
  SequentialMeanTest(std::vector<double> values, const SequentialOptions& options);
  void Decide();
  double LogEvidence(double m, bool above) const;
  Interval MeanInterval() const;

  SequentialOptions options_;
  std::vector<double> values_;
  std::vector<double> steps_;  // Logarithms of the bets' factors at -margin: value, side, share.
  std::vector<std::uint64_t> counts_;
  std::uint64_t total_ = 0;
  std::uint64_t decided_at_ = 0;
  Answer decided_ = Answer::kInconclusive;
  double strongest_ = 0;  // Logarithm of the strongest evidence so far, either way.
};

/// Two models answering the same samples, looked at whenever one likes: pass or fail is wrong with
/// probability alpha at most over the whole run. Samples where both are right or both wrong count,
/// but speak for neither. O(1) memory and time per sample. Not safe for several threads at once.
class PairedSequentialTest {
 public:
  /// kInvalidArgument as SequentialMeanTest::Make.
  static Result<PairedSequentialTest> Make(const SequentialOptions& options = {});

  void Add(bool baseline_right, bool candidate_right);
  /// Many at once, as counted: one look at the end of them.
  void Add(const PairedCounts& counts);

  Answer decision() const { return test_.decision(); }
  SequentialLook Look() const { return test_.Look(); }

 private:
  explicit PairedSequentialTest(SequentialMeanTest test) : test_(std::move(test)) {}

  SequentialMeanTest test_;
};

struct CanaryOptions {
  SequentialOptions test = {};
  std::uint32_t baseline_per_candidate = 1;  // How the traffic is split, 1 to 1000.
  std::size_t max_waiting = 100'000;         // Outcomes an arm keeps while the other is behind.
};

/// A candidate that answers a share of the traffic while the baseline answers the rest: two
/// independent streams of right and wrong. Each candidate's outcome is paired with the mean of
/// `baseline_per_candidate` of the baseline's, in the order they came; what has no partner yet
/// waits, and beyond `max_waiting` is dropped. Wrong with probability alpha at most over the whole
/// run, as long as what arrives when does not depend on being right. O(1) time per outcome for a
/// given split, O(max_waiting) memory. Not safe for several threads at once.
class CanaryTest {
 public:
  /// kInvalidArgument as SequentialMeanTest::Make, or a split or max_waiting out of range (it holds
  /// at least one block of the baseline).
  static Result<CanaryTest> Make(const CanaryOptions& options = {});

  void AddBaseline(bool right);
  void AddCandidate(bool right);

  Answer decision() const { return test_.decision(); }
  SequentialLook Look() const { return test_.Look(); }
  std::uint64_t waiting_baseline() const;
  std::uint64_t waiting_candidate() const { return candidates_.size(); }
  std::uint64_t dropped() const { return dropped_; }

 private:
  CanaryTest(const CanaryOptions& options, SequentialMeanTest test)
      : options_(options), test_(std::move(test)) {}
  void Pair();

  CanaryOptions options_;
  SequentialMeanTest test_;
  std::deque<bool> candidates_;
  std::deque<std::uint32_t> blocks_;  // Right answers of each whole block of the baseline.
  std::uint32_t block_size_ = 0;      // Of the block that is being filled, ...
  std::uint32_t block_right_ = 0;     // ... and its right answers.
  std::uint64_t dropped_ = 0;
};

}  // namespace tidewheel::stats
