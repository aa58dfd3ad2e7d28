#include <cstdint>
#include <numeric>

#include "bindings.h"
#include "tidewheel/stats/balance.h"
#include "tidewheel/stats/hypergeometric.h"
#include "tidewheel/stats/imbalance.h"
#include "tidewheel/stats/kmeans.h"
#include "tidewheel/stats/nearest_neighbours.h"
#include "tidewheel/stats/predictive_power.h"

namespace py = pybind11;

namespace tidewheel::peers {
namespace {

py::tuple Given(stats::Neighbours found, std::size_t queries) {
  const std::vector<py::ssize_t> shape = {static_cast<py::ssize_t>(queries),
                                          static_cast<py::ssize_t>(found.neighbours)};
  return py::make_tuple(peers::Given(std::move(found.index), shape),
                        peers::Given(std::move(found.squared_distance), shape));
}

/// All rows are training rows.
struct Training {
  std::vector<stats::Split> splits;
  std::vector<std::uint32_t> rows;
  stats::LabeledRows data;

  Training(const Array<std::int32_t>& labels, std::size_t classes)
      : splits(Span(labels).size(), stats::Split::kTraining), rows(splits.size()) {
    std::iota(rows.begin(), rows.end(), 0U);
    data = {Span(labels), classes, splits};
  }
};

py::dict Report(const Array<std::int32_t>& labels, const Array<std::int32_t>& predicted,
                const Array<double>& scores) {
  const auto matrix = Matrix(scores);
  const auto report =
      Value(stats::ImbalanceReport::Of(Span(labels), Span(predicted), matrix.columns, matrix));
  py::dict made;
  made["accuracy"] = report.accuracy().accuracy;
  made["balanced_accuracy"] = report.accuracy().balanced_accuracy;
  made["macro_f1"] = report.accuracy().macro_f1;
  made["matthews"] = report.accuracy().matthews;
  made["kappa"] = report.accuracy().kappa;
  made["recall"] = peers::Given(report.recall());
  py::dict rankings;
  for (std::size_t k = 0; k < matrix.columns; ++k) {
    const auto ranking = report.Ranking(k);
    if (ranking) rankings[py::int_(k)] = py::make_tuple(ranking->roc_auc, ranking->pr_auc);
  }
  made["rankings"] = rankings;
  return made;
}

}  // namespace

PYBIND11_MODULE(balance, module) {
  module.def(
      "nearest",
      [](const Array<double>& points, const Array<double>& queries, std::size_t neighbours) {
        return Given(Value(stats::NearestNeighbours(Matrix(points), Matrix(queries),
                                                    {.neighbours = neighbours})),
                     Matrix(queries).rows);
      },
      py::arg("points").noconvert(), py::arg("queries").noconvert(), py::arg("neighbours"));
  module.def(
      "nearest_others",
      [](const Array<double>& points, std::size_t neighbours) {
        return Given(
            Value(stats::NearestOthers(Matrix(points), {.neighbours = neighbours, .threads = 2})),
            Matrix(points).rows);
      },
      py::arg("points").noconvert(), py::arg("neighbours"));
  module.def(
      "count_within",
      [](const Array<double>& points, const Array<double>& queries, const Array<double>& squared) {
        return peers::Given(
            Value(stats::CountWithin(Matrix(points), Matrix(queries), Span(squared))));
      },
      py::arg("points").noconvert(), py::arg("queries").noconvert(),
      py::arg("squared_radius").noconvert());
  module.def(
      "tomek_links",
      [](const Array<std::int32_t>& labels, std::size_t classes, const Array<double>& features) {
        const Training training(labels, classes);
        return Value(stats::FindTomekLinks(training.data, Matrix(features), training.rows));
      },
      py::arg("labels").noconvert(), py::arg("classes"), py::arg("features").noconvert());
  module.def(
      "remove_outvoted",
      [](const Array<std::int32_t>& labels, std::size_t classes, const Array<double>& features,
         std::size_t neighbours) {
        const Training training(labels, classes);
        return peers::Given(
            Value(stats::RemoveOutvoted(training.data, Matrix(features), training.rows,
                                        {.neighbours = neighbours, .keep_smallest = false}))
                .rows);
      },
      py::arg("labels").noconvert(), py::arg("classes"), py::arg("features").noconvert(),
      py::arg("neighbours"));
  module.def("report", &Report, py::arg("labels").noconvert(), py::arg("predicted").noconvert(),
             py::arg("scores").noconvert());
  module.def(
      "kappa",
      [](const Array<std::uint64_t>& confusion, const std::string& weights) {
        const auto kind = weights == "linear"      ? stats::KappaWeights::kLinear
                          : weights == "quadratic" ? stats::KappaWeights::kQuadratic
                                                   : stats::KappaWeights::kNone;
        return Value(stats::CohenKappa(Span(confusion), Matrix(confusion).columns, kind));
      },
      py::arg("confusion").noconvert(), py::arg("weights") = "none");
  module.def(
      "kmeans",
      [](const Array<double>& rows, std::size_t clusters, std::uint64_t seed) {
        auto means = Value(stats::ClusterRows(
            Matrix(rows), {.clusters = clusters, .rounds = 1000, .tolerance = 0, .seed = seed}));
        const std::vector<py::ssize_t> shape = {static_cast<py::ssize_t>(clusters),
                                                static_cast<py::ssize_t>(means.columns)};
        return py::make_tuple(peers::Given(std::move(means.centroids), shape),
                              peers::Given(std::move(means.assignment)), means.inertia);
      },
      py::arg("rows").noconvert(), py::arg("clusters"), py::arg("seed"));
  module.def("hypergeometric_tail", [](std::uint64_t least, std::uint64_t population,
                                       std::uint64_t marked, std::uint64_t draws) {
    return Value(stats::HypergeometricTail(least, population, marked, draws));
  });
  module.def(
      "predictive_power",
      [](const Array<double>& values, const Array<std::int32_t>& labels, std::size_t classes) {
        const auto power =
            Value(stats::ScorePredictivePower({"column", Span(values), {}}, Span(labels), classes));
        return py::make_tuple(power.score, power.f1, power.baseline);
      },
      py::arg("values").noconvert(), py::arg("labels").noconvert(), py::arg("classes"));
}

}  // namespace tidewheel::peers
