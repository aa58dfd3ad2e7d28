#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/stats/moments.h"

namespace tidewheel::stats {

/// Columns of equal length, each in one piece. NaN is missing.
using FloatColumns = std::span<const std::span<const float>>;
using DoubleColumns = std::span<const std::span<const double>>;

struct ReferenceOptions {
  /// Bins of PSI and Jensen-Shannon, 2 to 256: of equal share in the reference, or of equal width.
  std::uint32_t bins = 64;
  bool equal_shares = true;
  /// The grid spans all values of the reference, unless the middle half of them would fill fewer
  /// than 64 of its 4,096 bins, as one far outlier or a heavy tail make it: then it spans 64 times
  /// the middle half. Where the middle half is one value, the same for the middle 80, 90, 98
  /// or 99.9 %. True: it spans all in any case.
  bool span_all = false;
  unsigned threads = 1;
};

/// What is known of numeric columns: moments, and counts over a fine grid that the reference chose.
///
/// The reference's profile is made once and kept (about 32 KiB a column in memory, less as bytes);
/// a current window is counted into an Empty() copy of it in one pass, on as many nodes as there
/// are, and merged. CompareProfiles() then needs no rows at all.
///
/// All edges lie on a uniform grid of 4,096 bins, so that one count serves every statistic. One
/// pass reads each value once, in blocks of 64 Ki. Counts and missing are exact whatever the order;
/// moments and excesses are summed block by block in a fixed order, so the result does not depend
/// on `threads` nor, bit by bit, on the machine. Profiles that were cut elsewhere and merged agree
/// with the whole exactly in counts, up to rounding in the sums.
///
/// Errors of everything that takes rows: kInvalidArgument: no column, columns of different lengths
/// or a number of columns that is not the profile's, an infinite value (row and column are named),
/// threads outside 1 to 64. kOutOfRange: a value above 1e70 in size. The profile is unchanged then.
/// Not thread-safe for writers; any number of readers.
class DriftProfile {
 public:
  static constexpr std::size_t kGridBins = 4'096;
  static constexpr std::size_t kMostColumns = 16'384;

  struct Column {
    /// Line i of the grid is low + i * width, i from 0 to 4,096. A width of 0: the reference had no
    /// value, and nothing can be told of this column.
    double low = 0;
    double width = 0;
    /// Lines at which a bin of PSI and Jensen-Shannon ends, rising. The first bin begins at minus
    /// infinity, the last one ends at infinity.
    std::vector<std::uint16_t> lines;

    Moments moments;
    /// Values below the grid, in each bin of it, and above: 4,098 counts.
    std::vector<std::uint64_t> slots;
    /// Sums of how far values lie below and above the grid, in their unit.
    double below = 0;
    double above = 0;

    double Line(std::size_t line) const { return low + static_cast<double>(line) * width; }
    double High() const { return Line(kGridBins); }
    /// The counts between `lines`: lines.size() + 1 bins.
    std::vector<std::uint64_t> Bins() const;

    friend bool operator==(const Column&, const Column&) = default;
  };

  /// Chooses the grids and counts the reference. Reads it three times, columns with heavy tails or
  /// many equal values some times more. kInvalidArgument also: options outside their range.
  static Result<DriftProfile> OfReference(FloatColumns columns,
                                          const ReferenceOptions& options = {});
  static Result<DriftProfile> OfReference(DoubleColumns columns,
                                          const ReferenceOptions& options = {});

  /// The same grids with nothing counted.
  DriftProfile Empty() const;

  /// Counts rows. O(rows * columns) time; 33 KiB a column and thread.
  Result<void> Add(FloatColumns columns, unsigned threads = 1);
  Result<void> Add(DoubleColumns columns, unsigned threads = 1);
  /// The same for rows of records, turned over in pieces of up to 8 MiB a thread; the same result.
  Result<void> AddRows(const MatrixView<float>& rows, unsigned threads = 1);
  Result<void> AddRows(const MatrixView<double>& rows, unsigned threads = 1);

  /// kInvalidArgument: other grids. kOutOfRange: more than 2^62 values in a column.
  Result<void> Merge(const DriftProfile& other);

  const std::vector<Column>& columns() const { return columns_; }

  std::string ToBytes() const;
  /// kInvalidArgument: bytes that ToBytes() of this version did not write.
  static Result<DriftProfile> FromBytes(std::string_view bytes);

  friend bool operator==(const DriftProfile&, const DriftProfile&) = default;

 private:
  explicit DriftProfile(std::vector<Column> columns) : columns_(std::move(columns)) {}
  template <typename T>
  static Result<DriftProfile> Plan(std::span<const std::span<const T>> columns,
                                   const ReferenceOptions& options);
  template <typename T>
  Result<void> AddColumns(std::span<const std::span<const T>> columns, unsigned threads);
  template <typename T>
  Result<void> AddMatrix(const MatrixView<T>& rows, unsigned threads);
  template <typename Source>
  Result<void> AddFrom(const Source& source, unsigned threads);

  std::vector<Column> columns_;
};

/// How far one column of a current window is from the reference. Everything but the missing shares
/// is about the values that are there.
struct ColumnDrift {
  double missing_share_reference = 0;
  double missing_share_current = 0;
  /// Over the bins between the column's lines; half a value is added to each bin for PSI (see
  /// PopulationStabilityIndex), and the distance is in bits, 0 to 1 (JensenShannonDistance).
  double psi = 0;
  double jensen_shannon = 0;
  /// The 1-Wasserstein distance in the unit of the values is within `wasserstein_error` of this:
  /// one bin width at most where the reference lies inside the grid, and twice the lesser mean
  /// excess on each side where it does not.
  double wasserstein = 0;
  double wasserstein_error = 0;
  /// In standard deviations of the reference; none for a constant one.
  std::optional<double> scaled_wasserstein;
  /// The Kolmogorov-Smirnov statistic is at least and at most this.
  double ks_at_least = 0;
  double ks_at_most = 0;
};

/// One result a column; O(4,096) each. A column without values on one side is "not applicable":
/// kFailedPrecondition. kInvalidArgument of the whole: profiles with other grids.
Result<std::vector<Result<ColumnDrift>>> CompareProfiles(const DriftProfile& reference,
                                                         const DriftProfile& current);

}  // namespace tidewheel::stats
