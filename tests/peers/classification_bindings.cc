#include <cstdint>

#include "bindings.h"
#include "tidewheel/stats/classification.h"
#include "tidewheel/stats/intervals.h"
#include "tidewheel/stats/mcnemar.h"

namespace py = pybind11;

namespace tidewheel::peers {
namespace {

py::dict Report(const Array<std::uint32_t>& labels, const Array<float>& probabilities) {
  const auto matrix = Matrix(probabilities);
  stats::ReportOptions options;
  options.resamples = 2;  // The peers have no intervals; what is compared does not depend on them.
  auto report =
      Value(stats::ReportClassification(Span(labels), matrix.values, matrix.columns, options));
  const auto classes = static_cast<py::ssize_t>(matrix.columns);
  std::vector<double> precision;
  std::vector<double> recall;
  std::vector<double> f1;
  for (const auto& figures : report.classes) {
    precision.push_back(figures.precision.value);
    recall.push_back(figures.recall.value);
    f1.push_back(figures.f1.value);
  }
  py::dict made;
  made["confusion"] = Given(std::move(report.confusion), {classes, classes});
  made["accuracy"] = report.accuracy.value;
  made["balanced_accuracy"] = report.balanced_accuracy.value;
  made["macro_f1"] = report.macro_f1.value;
  made["matthews"] = report.matthews.value;
  made["log_loss"] = report.log_loss.value;
  made["precision"] = Given(std::move(precision));
  made["recall"] = Given(std::move(recall));
  made["f1"] = Given(std::move(f1));
  return made;
}

}  // namespace

PYBIND11_MODULE(classification, module) {
  module.def("report", &Report, py::arg("labels").noconvert(),
             py::arg("probabilities").noconvert());
  module.def(
      "inverse_frequency_weights",
      [](const Array<std::uint64_t>& counts) {
        return Given(Value(stats::InverseFrequencyWeights(Span(counts))));
      },
      py::arg("counts").noconvert());
  module.def("mcnemar", [](std::uint64_t only_first_right, std::uint64_t only_second_right) {
    const auto test = Value(stats::McNemar(only_first_right, only_second_right));
    return py::make_tuple(test.p_value, test.exact, test.statistic);
  });
  module.def("wilson", [](std::uint64_t successes, std::uint64_t trials, double confidence) {
    const auto interval = Value(stats::WilsonInterval(successes, trials, confidence));
    return py::make_tuple(interval.low, interval.high);
  });
}

}  // namespace tidewheel::peers
