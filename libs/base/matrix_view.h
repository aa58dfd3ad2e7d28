#pragma once

#include <cstddef>
#include <span>

namespace tidewheel {

/// Rows x columns numbers of somebody else, row by row. `values` holds exactly rows x columns of
/// them; who takes a view checks it with Fits().
template <typename T>
struct MatrixView {
  std::span<const T> values;
  std::size_t rows = 0;
  std::size_t columns = 0;

  /// Whether the shape and the number of values agree, without overflow.
  bool Fits() const {
    if (rows == 0 || columns == 0) return values.empty();
    return values.size() % columns == 0 && values.size() / columns == rows;
  }
  std::span<const T> Row(std::size_t row) const { return values.subspan(row * columns, columns); }
};

}  // namespace tidewheel
