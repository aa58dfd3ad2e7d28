#include <cstdint>
#include <string>

#include "bindings.h"
#include "tidewheel/stats/boosted_trees.h"
#include "tidewheel/stats/isotonic.h"
#include "tidewheel/stats/label_shift.h"
#include "tidewheel/stats/loss_estimate.h"
#include "tidewheel/stats/performance_metrics.h"
#include "tidewheel/stats/probability_calibration.h"
#include "tidewheel/stats/ranking.h"

namespace py = pybind11;

namespace tidewheel::peers {
namespace {

using Labels = Array<std::int32_t>;
using Numbers = Array<double>;

Numbers Isotonic(const Numbers& x, const Numbers& y, const Numbers& weights, const Numbers& at) {
  const auto fit = Value(stats::FitIsotonic(Span(x), Span(y), Span(weights)));
  std::vector<double> values;
  for (const double place : Span(at)) values.push_back(fit(place));
  return Given(std::move(values));
}

py::dict Realized(const Numbers& scores, const Labels& predicted, const Labels& labels) {
  const stats::BinaryRows rows = {Span(scores), Span(predicted), Span(labels)};
  py::dict made;
  for (const auto metric : stats::kPerformanceMetrics) {
    const auto value = stats::RealizedMetric(metric, rows);
    made[py::str(std::string(Name(metric)))] = value ? py::cast(*value) : py::none();
  }
  return made;
}

py::dict Expected(const Numbers& scores, const Labels& predicted, const Numbers& probabilities) {
  const stats::BinaryRows rows = {Span(scores), Span(predicted), {}};
  py::dict made;
  for (const auto metric : stats::kPerformanceMetrics) {
    const auto value = stats::ExpectedMetric(metric, rows, Span(probabilities));
    made[py::str(std::string(Name(metric)))] = value ? py::cast(*value) : py::none();
  }
  return made;
}

py::dict RegressionErrors(const Numbers& predictions, const Numbers& targets) {
  py::dict made;
  for (const auto metric :
       {stats::RegressionMetric::kMeanAbsoluteError, stats::RegressionMetric::kMeanSquaredError,
        stats::RegressionMetric::kRootMeanSquaredError,
        stats::RegressionMetric::kMeanAbsolutePercentageError,
        stats::RegressionMetric::kMeanSquaredLogError}) {
    made[py::str(std::string(Name(metric)))] =
        Value(stats::RealizedMetric(metric, {{}, Span(predictions), Span(targets)}));
  }
  return made;
}

/// One tree of the given depth with nothing held out, asked for its own rows.
Numbers OneTree(const Numbers& features, const Numbers& targets, int depth, std::size_t min_leaf) {
  const auto matrix = Matrix(features);
  const auto trees = Value(stats::BoostedTrees::Fit(matrix, Span(targets),
                                                    {.rounds = 1,
                                                     .depth = depth,
                                                     .learning_rate = 1,
                                                     .min_leaf = min_leaf,
                                                     .bins = 1'024,
                                                     .held_out = 0}));
  std::vector<double> answers;
  for (std::size_t row = 0; row < matrix.rows; ++row) answers.push_back(trees(matrix.Row(row)));
  return Given(std::move(answers));
}

}  // namespace

PYBIND11_MODULE(estimation, module) {
  module.def("isotonic", &Isotonic, py::arg("x").noconvert(), py::arg("y").noconvert(),
             py::arg("weights").noconvert(), py::arg("at").noconvert());
  module.def(
      "roc_auc",
      [](const Labels& labels, const Numbers& scores) {
        return Value(stats::RocAuc(Span(labels), Span(scores)));
      },
      py::arg("labels").noconvert(), py::arg("scores").noconvert());
  module.def(
      "average_precision",
      [](const Labels& labels, const Numbers& scores) {
        return Value(stats::AveragePrecision(Span(labels), Span(scores)));
      },
      py::arg("labels").noconvert(), py::arg("scores").noconvert());
  module.def(
      "precision_recall_auc",
      [](const Labels& labels, const Numbers& scores) {
        return Value(stats::PrecisionRecallAuc(Span(labels), Span(scores)));
      },
      py::arg("labels").noconvert(), py::arg("scores").noconvert());
  module.def(
      "macro_roc_auc",
      [](const Labels& labels, const Numbers& scores) {
        return Value(stats::MacroRocAuc(Span(labels), Matrix(scores)));
      },
      py::arg("labels").noconvert(), py::arg("scores").noconvert());
  module.def(
      "macro_average_precision",
      [](const Labels& labels, const Numbers& scores) {
        return Value(stats::MacroAveragePrecision(Span(labels), Matrix(scores)));
      },
      py::arg("labels").noconvert(), py::arg("scores").noconvert());
  module.def(
      "calibration_error",
      [](const Labels& labels, const Numbers& probabilities, int bins) {
        return Value(stats::ExpectedCalibrationError(Span(labels), Span(probabilities), bins));
      },
      py::arg("labels").noconvert(), py::arg("probabilities").noconvert(), py::arg("bins"));
  module.def("realized", &Realized, py::arg("scores").noconvert(), py::arg("predicted").noconvert(),
             py::arg("labels").noconvert());
  module.def("expected", &Expected, py::arg("scores").noconvert(), py::arg("predicted").noconvert(),
             py::arg("probabilities").noconvert());
  module.def("regression_errors", &RegressionErrors, py::arg("predictions").noconvert(),
             py::arg("targets").noconvert());
  module.def("one_tree", &OneTree, py::arg("features").noconvert(), py::arg("targets").noconvert(),
             py::arg("depth"), py::arg("min_leaf"));
  module.def(
      "label_shift",
      [](const Array<std::uint64_t>& confusion, const Array<std::uint64_t>& predicted) {
        auto shift = Value(stats::EstimateLabelShift(Span(confusion), Span(predicted)));
        return py::make_tuple(Given(std::move(shift.weights)), Given(std::move(shift.shares)),
                              shift.condition);
      },
      py::arg("confusion").noconvert(), py::arg("predicted").noconvert());
}

}  // namespace tidewheel::peers
