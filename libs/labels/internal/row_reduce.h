#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

/// The one loop over all probabilities. Apart from the rest, so that it alone is compiled several
/// times.
namespace tidewheel::labels::internal {

/// How far past a row's classes its `cuts` go on, with all ones.
inline constexpr std::size_t kVectorBytes = 64;

/// A row whose fast sum is this near to 1 needs no second look: the lanes' order of adding depends
/// on the machine, what is refused (1e-3) does not.
inline constexpr double kSureSum = 9e-4;

/// Rows of at most so many bytes are read whole by `reduce_short`.
inline constexpr std::size_t kShortBytes = 128;

/// The loop for one width of vectors. B are the bits of T. Only sums depend on the width, by
/// rounding.
template <typename T, typename B>
struct RowReducer {
  /// For each of `rows` rows of `classes` values: the sum, the largest bits, the first class that
  /// has them, and the largest bits among those that reach their cut (0: none). Reads nothing at or
  /// past `end`, which is at least the rows' own end.
  void (*reduce)(const T* values, std::size_t rows, std::size_t classes, const T* end,
                 const B* cuts, T* sum, B* top, std::int32_t* predicted, B* confident);
  /// The same for short rows, with the first class that has the largest bits of those that reach
  /// their cut (-1: none) in place of these bits. Of each eight rows (the last may be fewer) a byte
  /// tells by bits which are plain: their sum is 1 within kSureSum, no value is outside [0, 1], the
  /// first largest class is the label, and the row votes for it or for nothing; another tells which
  /// of these vote. Null where all this would not pay.
  void (*reduce_short)(const T* values, std::size_t rows, std::size_t classes, const B* cuts,
                       const std::int32_t* labels, T* sum, B* top, std::int32_t* predicted,
                       std::int32_t* voted, std::uint8_t* plain, std::uint8_t* votes);
};

/// Those that this processor has, the widest first.
template <typename T, typename B>
std::span<const RowReducer<T, B>> RowReducers();

template <>
std::span<const RowReducer<float, std::uint32_t>> RowReducers();
template <>
std::span<const RowReducer<double, std::uint64_t>> RowReducers();

}  // namespace tidewheel::labels::internal
