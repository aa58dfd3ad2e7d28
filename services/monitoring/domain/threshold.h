#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/monitoring/domain/judge_statistics.h"
#include "tidewheel/monitoring/domain/monitoring_policy.h"

namespace tidewheel::monitoring {

/// False alarms that the task allows a window of so many predictions: its budget is spread evenly
/// over its predictions.
double AllowedPerWindow(const MonitoringPolicy& policy, std::size_t predictions);

/// Two disjoint halves of the rows, drawn at random: the classes' shares differ between them as
/// they do between a finite reference and its traffic.
std::pair<std::vector<std::uint32_t>, std::vector<std::uint32_t>> RandomHalves(
    const RowTable& table, Random& random);
/// Two disjoint halves of the rows, each with half of every given class.
std::pair<std::vector<std::uint32_t>, std::vector<std::uint32_t>> StratifiedHalves(
    const RowTable& table, Random& random);

/// How often numbers that were drawn in groups are above a level, far beyond the largest that was
/// drawn: the upper quarter of each group is its own (a group has its own luck), its excess is a
/// generalised Pareto one (Pickands 1975) whose scale and shape all groups share (moments; Hosking,
/// Wallis 1987). A shape below 0, a tail that ends, is taken for an exponential one.
class GroupedTail {
 public:
  /// `values` are groups x size, group by group; size is at least 8.
  GroupedTail(std::vector<double> values, std::size_t size);

  /// Mean over the groups of P(above)^power: with power 2 the probability that two draws of one
  /// group are both above.
  double Exceeded(double level, int power) const;
  /// The level that is exceeded so often; probability in (0, 0.1].
  double Level(double probability, int power) const;

 private:
  double OfGroup(std::size_t group, double level) const;

  std::vector<double> values_;  // Ascending within each group.
  std::size_t size_;
  std::size_t above_;  // Index of the first value of a group's upper quarter.
  double scale_ = 1;
  double shape_ = 0;
};

/// What every statistic, and the largest of them all, is like in windows without drift.
///
/// The reference is finite, and so is the traffic that a calm window comes from; both differ by
/// chance, which all windows of a model then share. So the held-out rows are split into two
/// disjoint halves again and again: one is the reference, from the other windows are drawn with
/// replacement. That overstates the chance a little, as a half is smaller than the whole. What no
/// row of n shows cannot be drawn from them, though a share of Beta(1, n) of all rows may be more
/// doubtful than any of the n (the mass beyond the largest of n exchangeable numbers): such rows,
/// as doubtful as guessing, are mixed into the windows, each split with a share of its own. Without
/// them a small reference without a doubtful row would take the first one for drift. Each
/// statistic is brought to mean 0 and deviation 1 over all such windows, and a window's number is
/// the largest of its statistics (the max-statistic of Westfall, Young 1993): however many there
/// are and however they depend, the family has the budget once.
class ThresholdTable {
 public:
  struct Options {
    std::size_t splits = 64;
    std::size_t windows = 40;  // Of each split.
  };

  /// Deterministic in the seed. O(splits x windows) evaluations: some tenths of a second.
  ThresholdTable(const RowTable& held_out, std::size_t window_rows, std::uint64_t seed,
                 const Options& options);
  ThresholdTable(const RowTable& held_out, std::size_t window_rows, std::uint64_t seed)
      : ThresholdTable(held_out, window_rows, seed, Options()) {}

  std::size_t window_rows() const { return window_rows_; }
  /// The statistic in deviations above its mean; 0 for one that never differs.
  double Standardized(std::size_t statistic, double value) const;
  /// The value of a statistic at a standardised level.
  double Unstandardized(std::size_t statistic, double level) const;
  /// What chance alone keeps a statistic under in 95 of 100 windows.
  double Usual(std::size_t statistic) const { return usual_[statistic]; }
  bool Varies(std::size_t statistic) const { return deviation_[statistic] > 0; }
  const GroupedTail& tail() const { return tail_; }

 private:
  std::size_t window_rows_;
  std::vector<double> mean_;
  std::vector<double> deviation_;
  std::vector<double> usual_;
  GroupedTail tail_;
};

/// P(at least `hits` of `rows`) when the reference had `reference_hits` of `reference_rows`: the
/// predictive distribution under Jeffreys' prior, which knows that the reference is finite. Exact
/// for counts that are hardly ever above 0, where resampling has nothing to draw. O(rows).
double PredictiveTail(std::uint64_t hits, std::uint64_t rows, std::uint64_t reference_hits,
                      std::uint64_t reference_rows);

}  // namespace tidewheel::monitoring
