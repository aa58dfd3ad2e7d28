#include <algorithm>
#include <cstdint>
#include <string>

#include "bindings.h"
#include "tidewheel/cli/readers/npy_reader.h"

namespace py = pybind11;

namespace tidewheel::peers {
namespace {

cli::NpyFile Opened(const std::string& path) { return Value(cli::NpyFile::Open(path)); }

/// A copy in the file's shape, and whether the reader made one of its own.
template <typename T>
py::tuple Numbers(const cli::NpyNumbers<T>& numbers) {
  std::vector<py::ssize_t> shape(numbers.shape.begin(), numbers.shape.end());
  Array<T> array(shape);
  std::copy(numbers.values.begin(), numbers.values.end(), array.mutable_data());
  return py::make_tuple(array, numbers.copied);
}

}  // namespace

PYBIND11_MODULE(npy, module) {
  module.def("floats",
             [](const std::string& path) { return Numbers(Value(Opened(path).Floats())); });
  module.def("doubles",
             [](const std::string& path) { return Numbers(Value(Opened(path).Doubles())); });
  module.def("integers",
             [](const std::string& path) { return Numbers(Value(Opened(path).Integers())); });
}

}  // namespace tidewheel::peers
