#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

namespace tidewheel::labels::internal {

/// Lanes that `classes` numbers are padded to: 2, 4, 8, 12, 16, then multiples of 8.
std::size_t LanesFor(std::size_t classes);

/// Zeros that begin at a cache line.
class AlignedNumbers {
 public:
  explicit AlignedNumbers(std::size_t size);
  double* get() const { return numbers_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(double* numbers) const { ::operator delete[](numbers, std::align_val_t{64}); }
  };
  std::unique_ptr<double[], Free> numbers_;
  std::size_t size_;
};

/// What one expectation reads and leaves behind. A row of `table` belongs to one worker and one
/// label: first `lanes` numbers log P(label | class), then as many sums of the posteriors of what
/// the worker gave this label, so that a vote touches neighbouring memory twice and no more.
struct DawidSkeneRound {
  std::span<const std::uint32_t> begin;  // items + 1 places in `rows`.
  std::span<const std::uint32_t> rows;   // A vote's row in `table`.
  std::size_t classes = 0;
  std::size_t lanes = 0;              // LanesFor(classes).
  double* table = nullptr;            // Rows x 2 lanes.
  const double* log_prior = nullptr;  // lanes; those past the classes hold kNoClass.
  double* prior_sum = nullptr;        // lanes; the posteriors of items with votes are added. Null:
                                      // neither these nor the sums of `table` change.
  double* posterior = nullptr;        // items x classes; not written where null or without votes.
};

/// The logarithm of the prior of a lane without a class.
inline constexpr double kNoClass = -1e300;

/// One fused expectation and half of a maximisation over all items. Returns the log-likelihood of
/// the votes. The same bits whatever the processor.
double RunDawidSkeneRound(const DawidSkeneRound& round);

/// Adds the vote shares of all items to the sums of `table` and to `prior_sum`, as a round adds
/// posteriors. Reads nothing else of the round than `begin`, `rows`, `classes` and `lanes`.
void AddVoteShares(const DawidSkeneRound& round);

/// The other half: from the sums of one worker's rows (`classes` rows of 2 lanes) to the logarithms
/// of the smoothed shares, and zeros for the next sums. `totals` has room for `lanes` numbers.
void LogSharesOfWorkers(double* table, std::size_t workers, std::size_t classes, std::size_t lanes,
                        double smoothing, double* totals);

}  // namespace tidewheel::labels::internal
