#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"

/// What every area's bindings need: numpy arrays in and out without a copy, and errors as Python's
/// ValueError. Exceptions are how pybind11 speaks; they end at this border.
namespace tidewheel::peers {

/// A contiguous numpy array of exactly this type. Take it with `py::arg("x").noconvert()`: another
/// type is then a TypeError and never a silent copy.
template <typename T>
using Array = pybind11::array_t<T, pybind11::array::c_style>;

/// All values, whatever the shape, row by row.
template <typename T>
std::span<const T> Span(const Array<T>& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

/// ValueError unless the array has two dimensions.
template <typename T>
MatrixView<T> Matrix(const Array<T>& array) {
  if (array.ndim() != 2) throw pybind11::value_error("an array of two dimensions is wanted");
  return {Span(array), static_cast<std::size_t>(array.shape(0)),
          static_cast<std::size_t>(array.shape(1))};
}

/// A numpy array that owns the values, of the given shape or flat.
template <typename T>
Array<T> Given(std::vector<T> values, std::vector<pybind11::ssize_t> shape = {}) {
  if (shape.empty()) shape.push_back(static_cast<pybind11::ssize_t>(values.size()));
  auto owner = std::make_unique<std::vector<T>>(std::move(values));
  const T* data = owner->data();
  pybind11::capsule keeper(owner.release(),
                           [](void* held) { delete static_cast<std::vector<T>*>(held); });
  return Array<T>(std::move(shape), data, std::move(keeper));
}

/// The value, or a ValueError "INVALID_ARGUMENT: the message".
template <typename T>
T Value(Result<T> result) {
  if (!result.ok()) {
    throw pybind11::value_error(std::string(Name(result.error().code)) + ": " +
                                result.error().message);
  }
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace tidewheel::peers
