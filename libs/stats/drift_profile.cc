#include "tidewheel/stats/drift_profile.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tidewheel/stats/internal/drift_kernel.h"
#include "tidewheel/stats/internal/power_sums.h"
#include "tidewheel/stats/internal/samples.h"
#include "tidewheel/stats/internal/side_by_side.h"
#include "tidewheel/stats/internal/sketch_bytes.h"

namespace tidewheel::stats {
namespace {

using internal::BlockSums;
using internal::GridLine;
using internal::kBlockValues;
using internal::kGridSlots;
using internal::SlotCounts;

constexpr std::uint64_t kMostValues = std::uint64_t{1} << 62;
constexpr std::string_view kKind = "TWDP";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMostBytes = std::size_t{1} << 30;
constexpr std::size_t kMomentsBytes = 128;
constexpr std::size_t kMostLines = 255;

static_assert(SlotCounts::kMostValues >= kBlockValues);

GridLine GridOf(const DriftProfile::Column& column) {
  if (column.width == 0) return GridLine::None();
  return {column.low, 1 / column.width, column.High()};
}

/// What one thread has counted.
struct Tally {
  std::vector<std::uint64_t> slots;  // kGridSlots a column.
  SlotCounts counters;
};

/// A window that is to be counted: where units of work begin, and what each one adds.
struct Window {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t blocks = 0;
  std::vector<GridLine> grids;
  std::vector<BlockSums> sums;  // Block by block of column by column.
  internal::Width width = internal::WidestWidth();

  template <typename T>
  void Pass(std::span<const T> values, std::size_t column, std::size_t block, Tally& tally) {
    PassOver(values, grids[column], tally.counters, sums[column * blocks + block], width);
    tally.counters.Take(tally.slots.data() + column * kGridSlots);
  }
  std::size_t BlockSize(std::size_t block) const {
    return std::min(kBlockValues, rows - block * kBlockValues);
  }
};

/// A unit is one block of one column.
template <typename T>
class ColumnSource {
 public:
  explicit ColumnSource(std::span<const std::span<const T>> columns) : columns_(columns) {}

  std::size_t columns() const { return columns_.size(); }
  std::size_t rows() const { return columns_.empty() ? 0 : columns_[0].size(); }
  std::size_t Units(const Window& window) const { return columns() * window.blocks; }

  void Process(std::size_t unit, Window& window, Tally& tally) const {
    const std::size_t column = unit / window.blocks;
    const std::size_t block = unit % window.blocks;
    window.Pass(Block(window, column, block), column, block, tally);
  }

  std::span<const T> Block(const Window& window, std::size_t column, std::size_t block) const {
    return columns_[column].subspan(block * kBlockValues, window.BlockSize(block));
  }

  Result<void> Check() const {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i].size() != rows()) {
        return internal::Invalid("column " + std::to_string(i) + " has " +
                                 std::to_string(columns_[i].size()) + " rows and column 0 has " +
                                 std::to_string(rows()));
      }
    }
    return {};
  }

 private:
  std::span<const std::span<const T>> columns_;
};

/// A unit is one block of rows of some columns, turned over first.
template <typename T>
class RowSource {
 public:
  RowSource(const MatrixView<T>& matrix, std::size_t workers)
      : matrix_(matrix),
        group_(std::clamp<std::size_t>(matrix.columns, 1, kPieceBytes / sizeof(T) / kBlockValues)),
        pieces_(workers) {}

  std::size_t columns() const { return matrix_.columns; }
  std::size_t rows() const { return matrix_.rows; }
  std::size_t Units(const Window& window) const { return window.blocks * Groups(); }

  void Process(std::size_t unit, Window& window, Tally& tally, std::size_t worker) const {
    const std::size_t block = unit / Groups();
    const std::size_t first = unit % Groups() * group_;
    const std::size_t count = std::min(group_, columns() - first);
    const std::size_t rows = window.BlockSize(block);
    auto& piece = pieces_[worker];
    piece.resize(group_ * kStride);
    TurnOver(block * kBlockValues, rows, first, count, piece.data());
    for (std::size_t i = 0; i < count; ++i) {
      window.Pass(std::span<const T>(piece.data() + i * kStride, rows), first + i, block, tally);
    }
  }

  std::vector<T> Block(const Window& window, std::size_t column, std::size_t block) const {
    std::vector<T> values(window.BlockSize(block));
    TurnOver(block * kBlockValues, values.size(), column, 1, values.data());
    return values;
  }

  Result<void> Check() const {
    if (matrix_.Fits()) return {};
    return internal::Invalid("a matrix of " + std::to_string(matrix_.rows) + " x " +
                             std::to_string(matrix_.columns) + " does not fit its " +
                             std::to_string(matrix_.values.size()) + " values");
  }

 private:
  static constexpr std::size_t kPieceBytes = std::size_t{8} << 20;
  /// Columns of a piece begin in different sets of the caches.
  static constexpr std::size_t kStride = kBlockValues + 5 * 64 / sizeof(T);

  std::size_t Groups() const { return (columns() + group_ - 1) / group_; }

  /// Column i of the piece begins at i * kStride. Sixteen columns of a few rows at a time, so
  /// that what is read and what is written both stay in the first cache.
  void TurnOver(std::size_t row, std::size_t rows, std::size_t first, std::size_t count,
                T* piece) const {
    constexpr std::size_t kTileRows = 16;
    constexpr std::size_t kTileColumns = 16;
    const std::size_t stride = matrix_.columns;
    for (std::size_t r = 0; r < rows; r += kTileRows) {
      const std::size_t r_end = std::min(r + kTileRows, rows);
      for (std::size_t c = 0; c < count; c += kTileColumns) {
        const std::size_t c_end = std::min(c + kTileColumns, count);
        for (std::size_t column = c; column < c_end; ++column) {
          const T* from = matrix_.values.data() + (row + r) * stride + first + column;
          T* to = piece + column * kStride;
          for (std::size_t i = r; i < r_end; ++i, from += stride) to[i] = *from;
        }
      }
    }
  }

  MatrixView<T> matrix_;
  std::size_t group_;
  mutable std::vector<std::vector<T>> pieces_;  // One a worker.
};

template <typename T>
void ProcessUnit(const ColumnSource<T>& source, std::size_t unit, Window& window, Tally& tally,
                 std::size_t /*worker*/) {
  source.Process(unit, window, tally);
}

template <typename T>
void ProcessUnit(const RowSource<T>& source, std::size_t unit, Window& window, Tally& tally,
                 std::size_t worker) {
  source.Process(unit, window, tally, worker);
}

}  // namespace

std::vector<std::uint64_t> DriftProfile::Column::Bins() const {
  std::vector<std::uint64_t> bins;
  bins.reserve(lines.size() + 1);
  auto from = slots.begin();
  // Line i lies behind slot i: slot 0 is what is below the grid.
  for (const std::uint16_t line : lines) {
    const auto to = slots.begin() + line + 1;
    bins.push_back(std::accumulate(from, to, std::uint64_t{0}));
    from = to;
  }
  bins.push_back(std::accumulate(from, slots.end(), std::uint64_t{0}));
  return bins;
}

DriftProfile DriftProfile::Empty() const {
  std::vector<Column> columns;
  columns.reserve(columns_.size());
  for (const Column& column : columns_) {
    columns.push_back({.low = column.low,
                       .width = column.width,
                       .lines = column.lines,
                       .moments = {},
                       .slots = std::vector<std::uint64_t>(kGridSlots)});
  }
  return DriftProfile(std::move(columns));
}

template <typename Source>
Result<void> DriftProfile::AddFrom(const Source& source, unsigned threads) {
  if (threads < 1 || threads > internal::kMostThreads) {
    return internal::Invalid("threads are 1 to 64, not " + std::to_string(threads));
  }
  if (source.columns() != columns_.size()) {
    return internal::Invalid("the rows have " + std::to_string(source.columns()) +
                             " columns and the profile has " + std::to_string(columns_.size()));
  }
  if (const auto good = source.Check(); !good) return good;

  Window window;
  window.rows = source.rows();
  window.columns = columns_.size();
  window.blocks = (window.rows + kBlockValues - 1) / kBlockValues;
  window.sums.resize(window.columns * window.blocks);
  for (const Column& column : columns_) {
    window.grids.push_back(GridOf(column));
    if (column.moments.count() + column.moments.missing() > kMostValues - window.rows) {
      return Error{ErrorCode::kOutOfRange, "a drift profile counts at most 2^62 rows"};
    }
  }

  const std::size_t units = source.Units(window);
  std::vector<Tally> tallies(std::max<std::size_t>(1, std::min<std::size_t>(threads, units)));
  internal::SideBySide(units, tallies.size(), [&](std::size_t worker, std::size_t unit) {
    Tally& tally = tallies[worker];
    if (tally.slots.empty()) tally.slots.resize(window.columns * kGridSlots);
    ProcessUnit(source, unit, window, tally, worker);
  });

  // Looked for in a fixed order, so that the same window always names the same value.
  for (std::size_t column = 0; column < window.columns; ++column) {
    for (std::size_t block = 0; block < window.blocks; ++block) {
      const auto& powers = window.sums[column * window.blocks + block].powers;
      if (powers.max <= Moments::kLargest && powers.min >= -Moments::kLargest) continue;
      if (powers.count == 0) continue;
      const auto values = source.Block(window, column, block);
      using T = typename decltype(values)::value_type;
      return internal::TooLarge(std::span<const std::remove_cv_t<T>>(values), [&](std::size_t i) {
        return "row " + std::to_string(block * kBlockValues + i) + " of column " +
               std::to_string(column);
      });
    }
  }

  for (std::size_t i = 0; i < window.columns; ++i) {
    Column& column = columns_[i];
    std::uint64_t missing = 0;
    for (std::size_t block = 0; block < window.blocks; ++block) {
      const BlockSums& sums = window.sums[i * window.blocks + block];
      missing += sums.powers.missing;
      if (const auto merged = column.moments.Merge(Moments::FromPowerSums(sums.powers)); !merged) {
        return merged;
      }
      if (column.width == 0) continue;
      column.below += sums.below;
      column.above += sums.above;
    }
    if (column.width == 0) continue;
    for (const Tally& tally : tallies) {
      if (tally.slots.empty()) continue;
      const std::uint64_t* counted = tally.slots.data() + i * kGridSlots;
      for (std::size_t slot = 0; slot < kGridSlots; ++slot) column.slots[slot] += counted[slot];
    }
    column.slots[0] -= missing;  // The pass counts a missing value as below.
  }
  return {};
}

template <typename T>
Result<void> DriftProfile::AddColumns(std::span<const std::span<const T>> columns,
                                      unsigned threads) {
  return AddFrom(ColumnSource<T>(columns), threads);
}

template <typename T>
Result<void> DriftProfile::AddMatrix(const MatrixView<T>& rows, unsigned threads) {
  return AddFrom(RowSource<T>(rows, std::min(threads, internal::kMostThreads)), threads);
}

Result<void> DriftProfile::Add(FloatColumns columns, unsigned threads) {
  return AddColumns(columns, threads);
}

Result<void> DriftProfile::Add(DoubleColumns columns, unsigned threads) {
  return AddColumns(columns, threads);
}

Result<void> DriftProfile::AddRows(const MatrixView<float>& rows, unsigned threads) {
  return AddMatrix(rows, threads);
}

Result<void> DriftProfile::AddRows(const MatrixView<double>& rows, unsigned threads) {
  return AddMatrix(rows, threads);
}

Result<void> DriftProfile::Merge(const DriftProfile& other) {
  if (columns_.size() != other.columns_.size()) {
    return internal::Invalid("profiles of " + std::to_string(columns_.size()) + " and " +
                             std::to_string(other.columns_.size()) + " columns cannot be merged");
  }
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const Column& a = columns_[i];
    const Column& b = other.columns_[i];
    if (a.low != b.low || a.width != b.width || a.lines != b.lines) {
      return internal::Invalid("column " + std::to_string(i) +
                               " of the profiles has different grids");
    }
    if (a.moments.count() + a.moments.missing() + b.moments.count() + b.moments.missing() >
        kMostValues) {
      return Error{ErrorCode::kOutOfRange, "a drift profile counts at most 2^62 rows"};
    }
  }
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    Column& a = columns_[i];
    const Column& b = other.columns_[i];
    if (const auto merged = a.moments.Merge(b.moments); !merged) return merged;
    for (std::size_t slot = 0; slot < kGridSlots; ++slot) a.slots[slot] += b.slots[slot];
    a.below += b.below;
    a.above += b.above;
  }
  return {};
}

std::string DriftProfile::ToBytes() const {
  internal::SketchWriter writer(kKind, kVersion);
  writer.U32(static_cast<std::uint32_t>(columns_.size()));
  for (const Column& column : columns_) {
    writer.Text(column.moments.ToBytes());
    writer.F64(column.width);
    if (column.width == 0) continue;
    for (const double number : {column.low, column.below, column.above}) writer.F64(number);
    writer.U32(static_cast<std::uint32_t>(column.lines.size()));
    for (const std::uint16_t line : column.lines) writer.Varint(line);
    for (const std::uint64_t count : column.slots) writer.Varint(count);
  }
  return std::move(writer).Seal();
}

Result<DriftProfile> DriftProfile::FromBytes(std::string_view bytes) {
  internal::SketchReader reader("drift profile", bytes, kKind, kVersion, kMostBytes);
  // At least the length of the moments and the width of the grid.
  const std::size_t count = reader.Entries("columns", kMostColumns, 12);
  reader.Require(count > 0, "there is no column");
  std::vector<Column> columns;
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    Column& column = columns.emplace_back();
    const auto moments = Moments::FromBytes(reader.Text(kMomentsBytes));
    if (!moments) {
      reader.Fail("column " + std::to_string(i) + ": " + moments.error().message);
      break;
    }
    column.moments = *moments;
    column.slots.resize(kGridSlots);
    column.width = reader.F64();
    reader.Require(column.width >= 0 && std::isfinite(column.width), "a width is no such number");
    if (column.width == 0) continue;
    for (double* number : {&column.low, &column.below, &column.above}) *number = reader.F64();
    reader.Require(std::isfinite(column.low) && std::isfinite(column.High()) &&
                       std::isfinite(1 / column.width),
                   "a grid is not finite");
    reader.Require(column.below >= 0 && std::isfinite(column.below) && column.above >= 0 &&
                       std::isfinite(column.above),
                   "an excess is no such number");
    column.lines.resize(reader.Entries("lines", kMostLines, 1));
    for (std::size_t j = 0; j < column.lines.size(); ++j) {
      const std::uint64_t line = reader.Varint();
      reader.Require(line <= kGridBins && (j == 0 || line > column.lines[j - 1]),
                     "the lines do not rise inside the grid");
      column.lines[j] = static_cast<std::uint16_t>(line);
    }
    std::uint64_t counted = 0;
    for (std::uint64_t& slot : column.slots) {
      slot = reader.Varint();
      reader.Require(slot <= column.moments.count() - counted,
                     "the grid counts other values than the moments");
      if (!reader.ok()) break;
      counted += slot;
    }
    reader.Require(counted == column.moments.count(),
                   "the grid counts other values than the moments");
  }
  if (const auto good = reader.Finish(); !good) return good.error();
  return DriftProfile(std::move(columns));
}

}  // namespace tidewheel::stats
