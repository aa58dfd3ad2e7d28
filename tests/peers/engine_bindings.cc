#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "tidewheel/ml/graph/onnx_graph.h"
#include "tidewheel/ml/variants/variants.h"
#include "tidewheel/serving/engine.h"

namespace py = pybind11;

namespace tidewheel::peers {
namespace {

const serving::Engine& TheEngine() {
  // Never destroyed: its threads may outlive the interpreter.
  static const auto* engine = Value(serving::Engine::Create({})).release();
  return *engine;
}

py::list Described(const std::vector<serving::Port>& ports) {
  py::list list;
  for (const auto& port : ports) {
    list.append(py::make_tuple(port.name, static_cast<int>(port.type), port.shape));
  }
  return list;
}

/// Arrays in the order of the inputs; (datatype's place, shape, bytes) of each output.
py::list Run(const serving::Graph& graph, const std::vector<py::array>& inputs) {
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<serving::TensorView> views;
  for (const py::array& input : inputs) {
    if ((input.flags() & py::array::c_style) == 0) throw py::value_error("wants rows in order");
    shapes.emplace_back(input.shape(), input.shape() + input.ndim());
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    views.push_back({shapes[i],
                     {static_cast<const char*>(inputs[i].data()),
                      static_cast<std::size_t>(inputs[i].nbytes())}});
  }
  py::list list;
  const auto answers = Value(graph.Infer(views));
  for (std::size_t i = 0; i < answers.size(); ++i) {
    list.append(py::make_tuple(static_cast<int>(graph.outputs()[i].type), answers[i].shape,
                               py::bytes(answers[i].data.data(), answers[i].data.size())));
  }
  return list;
}

}  // namespace

PYBIND11_MODULE(engine, module) {
  py::class_<serving::Graph>(module, "Graph")
      .def(py::init([](const py::bytes& onnx) {
        return Value(TheEngine().LoadGraph(std::string(onnx), {}));
      }))
      .def_property_readonly("inputs",
                             [](const serving::Graph& g) { return Described(g.inputs()); })
      .def_property_readonly("outputs",
                             [](const serving::Graph& g) { return Described(g.outputs()); })
      .def_property_readonly("batches", &serving::Graph::batches)
      .def("run", Run);
  module.def("recipe", [](const std::string& name, int channels, int height, int width, int classes,
                          std::uint64_t seed) {
    const auto architecture = Value(ml::MakeArchitecture(name, {channels, height, width}, classes));
    const auto plan = Value(ml::PlanArchitecture(architecture));
    return py::bytes(Value(ml::PrintOnnx(architecture, ml::InitialWeights(plan, seed), 1.7)));
  });
  module.def("recipes", [] {
    std::vector<std::string> names;
    for (const auto name : ml::RecipeNames()) names.emplace_back(name);
    return names;
  });
  module.def(
      "in_8_bits",
      [](const py::bytes& onnx, const Array<float>& rows) {
        const auto count = static_cast<std::size_t>(rows.shape(0));
        const auto source = ml::RowsIn(Span(rows), static_cast<std::size_t>(rows.size()) / count);
        return py::bytes(Value(ml::MakeInt8(std::string(onnx), source, count)).onnx);
      },
      py::arg("onnx"), py::arg("rows").noconvert());
}

}  // namespace tidewheel::peers
