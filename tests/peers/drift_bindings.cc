#include <cstdint>
#include <string>

#include "bindings.h"
#include "tidewheel/stats/category_profile.h"
#include "tidewheel/stats/distinct_count.h"
#include "tidewheel/stats/drift_profile.h"
#include "tidewheel/stats/fixed_histogram.h"
#include "tidewheel/stats/frequent_items.h"
#include "tidewheel/stats/moments.h"
#include "tidewheel/stats/quantile_sketch.h"

namespace py = pybind11;

namespace tidewheel::peers {
namespace {

using stats::DriftProfile;

/// Each row of the array is a column of the table.
template <typename T>
std::vector<std::span<const T>> Columns(const Array<T>& array) {
  const auto matrix = Matrix(array);
  std::vector<std::span<const T>> columns;
  for (std::size_t i = 0; i < matrix.rows; ++i) columns.push_back(matrix.Row(i));
  return columns;
}

/// Mean, variance, skewness, kurtosis, min, max of `parts` pieces that were merged.
template <typename T>
py::tuple Moments(const Array<T>& values, std::size_t parts) {
  const auto span = Span(values);
  stats::Moments merged;
  for (std::size_t i = 0; i < parts; ++i) {
    stats::Moments part;
    const std::size_t begin = span.size() * i / parts;
    Value(part.Add(span.subspan(begin, span.size() * (i + 1) / parts - begin)));
    Value(merged.Merge(part));
  }
  const auto skewness = merged.Skewness();
  const auto kurtosis = merged.ExcessKurtosis();
  return py::make_tuple(merged.count(), merged.missing(), Value(merged.Mean()),
                        Value(merged.Variance()), Value(merged.Min()), Value(merged.Max()),
                        skewness ? py::cast(*skewness) : py::none(),
                        kurtosis ? py::cast(*kurtosis) : py::none());
}

template <typename T>
DriftProfile OfReference(const Array<T>& columns, std::uint32_t bins, bool equal_shares,
                         bool span_all, unsigned threads) {
  const auto view = Columns(columns);
  return Value(DriftProfile::OfReference(
      view,
      {.bins = bins, .equal_shares = equal_shares, .span_all = span_all, .threads = threads}));
}

/// The profile of a window over the grids of a reference.
template <typename T>
DriftProfile Window(const DriftProfile& reference, const Array<T>& columns, unsigned threads) {
  auto window = reference.Empty();
  const auto view = Columns(columns);
  Value(window.Add(view, threads));
  return window;
}

py::list Compare(const DriftProfile& reference, const DriftProfile& current) {
  py::list found;
  for (const auto& result : Value(stats::CompareProfiles(reference, current))) {
    const auto drift = Value(result);
    py::dict one;
    one["psi"] = drift.psi;
    one["jensen_shannon"] = drift.jensen_shannon;
    one["wasserstein"] = drift.wasserstein;
    one["wasserstein_error"] = drift.wasserstein_error;
    one["scaled_wasserstein"] = drift.scaled_wasserstein;
    one["ks"] = py::make_tuple(drift.ks_at_least, drift.ks_at_most);
    found.append(std::move(one));
  }
  return found;
}

/// The inner edges of the bins, the bin width of the grid, and the counts between the edges.
py::tuple Bins(const DriftProfile& profile, std::size_t column) {
  const auto& of = profile.columns().at(column);
  std::vector<double> edges;
  for (const auto line : of.lines) edges.push_back(of.Line(line));
  return py::make_tuple(Given(std::move(edges)), of.width, Given(of.Bins()));
}

py::tuple Quantiles(const Array<double>& values, const Array<double>& shares,
                    const Array<double>& points, std::uint32_t k, std::uint64_t seed,
                    std::size_t parts, double confidence) {
  const auto span = Span(values);
  auto merged = Value(stats::QuantileSketch::Create({.k = k, .seed = seed}));
  for (std::size_t i = 0; i < parts; ++i) {
    auto part = Value(stats::QuantileSketch::Create({.k = k, .seed = seed + 1 + i}));
    const std::size_t begin = span.size() * i / parts;
    Value(part.Add(span.subspan(begin, span.size() * (i + 1) / parts - begin)));
    Value(merged.Merge(part));
  }
  const std::size_t questions = Span(shares).size() + Span(points).size();
  return py::make_tuple(Given(Value(merged.Quantiles(Span(shares)))),
                        Given(Value(merged.Cdf(Span(points)))),
                        merged.RankError(confidence, questions), merged.size());
}

py::tuple Histogram(const Array<double>& values, const std::vector<double>& edges) {
  auto histogram = Value(stats::FixedHistogram::WithEdges(edges));
  Value(histogram.Add(Span(values)));
  return py::make_tuple(Given(histogram.counts()), histogram.below(), histogram.above());
}

py::tuple UniformHistogram(const Array<double>& values, double low, double high, std::size_t bins) {
  auto histogram = Value(stats::FixedHistogram::Uniform(low, high, bins));
  Value(histogram.Add(Span(values)));
  return py::make_tuple(Given(histogram.counts()), Given(histogram.edges()));
}

py::tuple Distinct(const Array<std::int64_t>& values, unsigned precision) {
  auto count = Value(stats::DistinctCount::WithPrecision(precision));
  for (const std::int64_t value : Span(values)) count.Add(value);
  return py::make_tuple(count.Estimate(), count.StandardError());
}

/// The most frequent items as (name, at least, at most), and the shortfall.
py::tuple Frequent(const std::vector<std::string>& items, std::size_t capacity, std::size_t most) {
  auto frequent = Value(stats::FrequentItems::WithCapacity(capacity));
  for (const std::string& item : items) Value(frequent.Add(item));
  py::list top;
  for (const auto& item : frequent.Top(most)) {
    top.append(py::make_tuple(item.name, item.at_least, item.at_most));
  }
  return py::make_tuple(top, frequent.Shortfall());
}

py::dict Categories(const Array<std::int32_t>& reference, const Array<std::int32_t>& current,
                    std::size_t categories) {
  auto first = Value(stats::CategoryProfile::WithCategories(categories));
  auto second = first;
  Value(first.Add(Span(reference)));
  Value(second.Add(Span(current)));
  const auto drift = Value(stats::CompareCategories(first, second));
  py::dict found;
  found["psi"] = drift.psi;
  found["jensen_shannon"] = drift.jensen_shannon;
  found["total_variation"] = drift.total_variation;
  found["unseen_share"] = drift.unseen_share;
  return found;
}

template <typename T>
void DefineTyped(py::module_& module) {
  module.def("moments", &Moments<T>, py::arg("values").noconvert(), py::arg("parts") = 1);
  module.def("reference", &OfReference<T>, py::arg("columns").noconvert(), py::arg("bins") = 64,
             py::arg("equal_shares") = true, py::arg("span_all") = false, py::arg("threads") = 1);
  module.def("window", &Window<T>, py::arg("reference"), py::arg("columns").noconvert(),
             py::arg("threads") = 1);
}

}  // namespace

PYBIND11_MODULE(drift, module) {
  py::class_<DriftProfile>(module, "Profile");
  DefineTyped<double>(module);
  DefineTyped<float>(module);
  module.def("compare", &Compare, py::arg("reference"), py::arg("current"));
  module.def("bins", &Bins, py::arg("profile"), py::arg("column"));
  const auto values = py::arg("values").noconvert();
  module.def("quantiles", &Quantiles, values, py::arg("shares").noconvert(),
             py::arg("points").noconvert(), py::arg("k") = 512, py::arg("seed") = 1,
             py::arg("parts") = 1, py::arg("confidence") = 0.99);
  module.def("histogram", &Histogram, values, py::arg("edges"));
  module.def("uniform_histogram", &UniformHistogram, values, py::arg("low"), py::arg("high"),
             py::arg("bins"));
  module.def("distinct", &Distinct, values, py::arg("precision") = 14);
  module.def("frequent", &Frequent, py::arg("items"), py::arg("capacity"), py::arg("most"));
  module.def("categories", &Categories, py::arg("reference").noconvert(),
             py::arg("current").noconvert(), py::arg("categories"));
}

}  // namespace tidewheel::peers
