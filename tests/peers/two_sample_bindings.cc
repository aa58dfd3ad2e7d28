#include <cstdint>

#include "bindings.h"
#include "tidewheel/stats/contingency.h"
#include "tidewheel/stats/corrections.h"
#include "tidewheel/stats/distances.h"
#include "tidewheel/stats/many_features.h"
#include "tidewheel/stats/symmetric_eigen.h"
#include "tidewheel/stats/two_sample.h"

namespace py = pybind11;

namespace tidewheel::peers {
namespace {

using Doubles = Array<double>;
using Counts = Array<std::uint64_t>;

/// "auto", "exact" or "asymptotic"; with `ties` false as though no values were equal.
stats::TwoSampleOptions Options(const std::string& method, bool ties) {
  using Method = stats::TwoSampleOptions::Method;
  return {method == "exact"        ? Method::kExact
          : method == "asymptotic" ? Method::kAsymptotic
                                   : Method::kAuto,
          ties ? stats::TieRule::kConditional : stats::TieRule::kIgnored};
}

template <typename T>
py::tuple KolmogorovSmirnov(const Array<T>& reference, const Array<T>& current,
                            const std::string& method, bool ties) {
  const auto test =
      Value(stats::KolmogorovSmirnov(Span(reference), Span(current), Options(method, ties)));
  return py::make_tuple(test.statistic, test.p_value, test.location, test.sign,
                        test.method == stats::PValueMethod::kExact);
}

py::tuple CramerVonMises(const Doubles& reference, const Doubles& current,
                         const std::string& method, bool ties) {
  const auto test =
      Value(stats::CramerVonMises(Span(reference), Span(current), Options(method, ties)));
  return py::make_tuple(test.statistic, test.p_value);
}

py::tuple AndersonDarling(const Doubles& reference, const Doubles& current, bool ties) {
  const auto test =
      Value(stats::AndersonDarling(Span(reference), Span(current),
                                   ties ? stats::TieRule::kConditional : stats::TieRule::kIgnored));
  return py::make_tuple(test.statistic, test.p_value, test.limit_p_value);
}

py::tuple ChiSquare(const Counts& reference, const Counts& current, bool likelihood_ratio,
                    bool continuity) {
  const auto test = Value(
      stats::ChiSquare(Span(reference), Span(current),
                       {likelihood_ratio ? stats::ChiSquareOptions::Statistic::kLikelihoodRatio
                                         : stats::ChiSquareOptions::Statistic::kPearson,
                        continuity}));
  return py::make_tuple(test.statistic, test.p_value, test.degrees, test.cramers_v);
}

template <typename T>
double Wasserstein(const Array<T>& reference, const Array<T>& current, bool scaled) {
  return Value(scaled ? stats::ScaledWasserstein(Span(reference), Span(current))
                      : stats::Wasserstein(Span(reference), Span(current)));
}

}  // namespace

PYBIND11_MODULE(two_sample, module) {
  const auto reference = py::arg("reference").noconvert();
  const auto current = py::arg("current").noconvert();
  const auto method = py::arg("method") = "auto";
  const auto ties = py::arg("ties") = true;
  module.def("kolmogorov_smirnov", &KolmogorovSmirnov<double>, reference, current, method, ties);
  module.def("kolmogorov_smirnov", &KolmogorovSmirnov<float>, reference, current, method, ties);
  module.def("kolmogorov_tail", &stats::KolmogorovTail);
  module.def("cramer_von_mises", &CramerVonMises, reference, current, method, ties);
  module.def("cramer_von_mises_tail", &stats::CramerVonMisesTail);
  module.def("anderson_darling", &AndersonDarling, reference, current, ties);
  module.def("chi_square", &ChiSquare, reference, current, py::arg("likelihood_ratio") = false,
             py::arg("continuity") = false);
  module.def("fisher_exact",
             [](std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
               const auto test = Value(stats::FisherExact(a, b, c, d));
               return py::make_tuple(test.odds_ratio, test.p_value);
             });
  module.def("compare_proportions",
             [](std::uint64_t reference_successes, std::uint64_t reference_trials,
                std::uint64_t current_successes, std::uint64_t current_trials) {
               const auto test = Value(stats::CompareProportions(
                   reference_successes, reference_trials, current_successes, current_trials));
               return py::make_tuple(test.difference, test.z, test.p_value, test.interval.low,
                                     test.interval.high);
             });
  module.def("wasserstein", &Wasserstein<double>, reference, current, py::arg("scaled") = false);
  module.def("wasserstein", &Wasserstein<float>, reference, current, py::arg("scaled") = false);
  module.def(
      "jensen_shannon",
      [](const Counts& a, const Counts& b, double base) {
        return Value(stats::JensenShannonDistance(Span(a), Span(b), base));
      },
      reference, current, py::arg("base") = 2.0);
  module.def(
      "hellinger",
      [](const Counts& a, const Counts& b) { return Value(stats::Hellinger(Span(a), Span(b))); },
      reference, current);
  const auto p_values = py::arg("p_values").noconvert();
  module.def(
      "holm", [](const Doubles& p) { return Given(Value(stats::HolmAdjusted(Span(p)))); },
      p_values);
  module.def(
      "benjamini_hochberg",
      [](const Doubles& p) { return Given(Value(stats::BenjaminiHochbergAdjusted(Span(p)))); },
      p_values);
  module.def(
      "maximum_mean_discrepancy",
      [](const Doubles& a, const Doubles& b) {
        const auto test =
            Value(stats::MaximumMeanDiscrepancy(Matrix(a), Matrix(b), {.permutations = 1}));
        return py::make_tuple(test.squared_mmd, test.squared_bandwidth);
      },
      reference, current);
  module.def(
      "domain_classifier",
      [](const Doubles& a, const Doubles& b, std::uint64_t seed) {
        stats::DomainClassifierOptions options;
        options.seed = seed;
        const auto test = Value(stats::DomainClassifier(Matrix(a), Matrix(b), options));
        return py::make_tuple(test.auc.value, test.auc.interval.low, test.auc.interval.high);
      },
      reference, current, py::arg("seed"));
  module.def(
      "eigen_of_symmetric",
      [](const Doubles& matrix) {
        auto eigen = Value(stats::EigenOfSymmetric(Matrix(matrix)));
        return py::make_tuple(Given(std::move(eigen.values)),
                              Given(std::move(eigen.vectors), {matrix.shape(0), matrix.shape(1)}));
      },
      py::arg("matrix").noconvert());
}

}  // namespace tidewheel::peers
