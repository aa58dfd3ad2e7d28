#include <cstdint>

#include "bindings.h"
#include "tidewheel/labels/acquisition.h"
#include "tidewheel/labels/random_control.h"

namespace py = pybind11;

namespace tidewheel::peers {

PYBIND11_MODULE(acquisition, module) {
  module.def(
      "uncertainty",
      [](const Array<double>& probabilities, const std::string& kind) {
        const auto chosen = kind == "margin"    ? labels::Uncertainty::kMargin
                            : kind == "entropy" ? labels::Uncertainty::kEntropy
                                                : labels::Uncertainty::kLeastConfident;
        return Given(Value(labels::UncertaintyScores(Matrix(probabilities), chosen)));
      },
      py::arg("probabilities").noconvert(), py::arg("kind"));
  module.def(
      "disagreement",
      [](const Array<double>& production, const Array<double>& candidate) {
        auto apart = Value(labels::CompareClassifiers(Matrix(production), Matrix(candidate)));
        return py::make_tuple(Given(std::move(apart.jensen_shannon)),
                              Given(std::move(apart.total_variation)),
                              Given(std::move(apart.other_answer)));
      },
      py::arg("production").noconvert(), py::arg("candidate").noconvert());
  module.def(
      "active_lab",
      [](const Array<double>& quality, const Array<std::int32_t>& item,
         const Array<std::int32_t>& worker, const Array<std::int32_t>& label,
         const Array<double>& worker_weight, double model_weight, std::size_t classes) {
        const labels::Votes votes{
            Span(item), Span(worker), Span(label), Span(quality).size(), Span(worker_weight).size(),
            classes};
        return Given(Value(
            labels::ActiveLabScores({Span(quality), votes, Span(worker_weight), model_weight})));
      },
      py::arg("quality").noconvert(), py::arg("item").noconvert(), py::arg("worker").noconvert(),
      py::arg("label").noconvert(), py::arg("worker_weight").noconvert(), py::arg("model_weight"),
      py::arg("classes"));
  module.def(
      "inverse_weights",
      [](const Array<double>& values, const Array<double>& probabilities, std::uint64_t population,
         double confidence) {
        const auto estimate = Value(labels::EstimateWithInverseWeights(
            Span(values), Span(probabilities), population, confidence));
        return py::make_tuple(estimate.horvitz_thompson, estimate.horvitz_thompson_interval.low,
                              estimate.horvitz_thompson_interval.high, estimate.hajek,
                              estimate.hajek_interval.low, estimate.hajek_interval.high);
      },
      py::arg("values").noconvert(), py::arg("probabilities").noconvert(), py::arg("population"),
      py::arg("confidence") = 0.95);
}

}  // namespace tidewheel::peers
