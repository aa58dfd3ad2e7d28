#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

/// The one loop over all probabilities. Apart from the rest, so that it alone is compiled several
/// times.
namespace tidewheel::labels::internal {

/// How far past a row's classes its `cuts` go on, with all ones.
inline constexpr std::size_t kVectorBytes = 64;

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
  /// The same for short rows, with the first class that has the largest bits, and the first that
  /// has the largest of those that reach their cut (-1: none), in place of these bits.
  void (*reduce_short)(const T* values, std::size_t rows, std::size_t classes, const T* end,
                       const B* cuts, T* sum, B* top, std::int32_t* predicted, std::int32_t* voted);
};

/// Those that this processor has, the widest first.
template <typename T, typename B>
std::span<const RowReducer<T, B>> RowReducers();

template <>
std::span<const RowReducer<float, std::uint32_t>> RowReducers();
template <>
std::span<const RowReducer<double, std::uint64_t>> RowReducers();

}  // namespace tidewheel::labels::internal
