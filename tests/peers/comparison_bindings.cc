#include <cstdint>

#include "bindings.h"
#include "tidewheel/stats/auc_comparison.h"
#include "tidewheel/stats/paired_bootstrap.h"
#include "tidewheel/stats/paired_difference.h"
#include "tidewheel/stats/sequential_test.h"

namespace py = pybind11;

namespace tidewheel::peers {
namespace {

using Labels = Array<std::int32_t>;
using Numbers = Array<double>;

py::dict Areas(const Labels& labels, const Numbers& baseline, const Numbers& candidate) {
  const auto compared = Value(stats::CompareAuc(Span(labels), Span(baseline), Span(candidate)));
  py::dict made;
  made["baseline"] = compared.baseline.value;
  made["candidate"] = compared.candidate.value;
  made["z"] = compared.z;
  made["p_value"] = compared.p_value;
  made["interval"] =
      py::make_tuple(compared.difference.interval.low, compared.difference.interval.high);
  return made;
}

/// Of the means of two columns.
py::tuple BootstrapOfMeans(const Numbers& baseline, const Numbers& candidate, int resamples) {
  const auto mean = [](const Numbers& of) {
    return [values = Span(of)](std::span<const std::uint32_t> samples) {
      double sum = 0;
      for (const std::uint32_t sample : samples) sum += values[sample];
      return sum / static_cast<double>(samples.size());
    };
  };
  const auto compared = Value(stats::PairedBootstrap(Span(baseline).size(), mean(baseline),
                                                     mean(candidate), {.resamples = resamples}));
  return py::make_tuple(compared.difference.interval.low, compared.difference.interval.high);
}

/// Look after the given counts: neither, only the baseline, only the candidate.
py::dict Look(std::uint64_t alike, std::uint64_t only_baseline, std::uint64_t only_candidate,
              double alpha) {
  auto test = Value(stats::PairedSequentialTest::Make({.alpha = alpha}));
  test.Add(stats::PairedCounts{alike, only_baseline, only_candidate, 0});
  const auto look = test.Look();
  py::dict made;
  made["interval"] = py::make_tuple(look.interval.low, look.interval.high);
  made["p_value"] = look.p_value;
  return made;
}

}  // namespace

PYBIND11_MODULE(comparison, module) {
  module.def("areas", &Areas, py::arg("labels").noconvert(), py::arg("baseline").noconvert(),
             py::arg("candidate").noconvert());
  module.def("bootstrap_of_means", &BootstrapOfMeans, py::arg("baseline").noconvert(),
             py::arg("candidate").noconvert(), py::arg("resamples"));
  module.def("look", &Look);
  module.def("paired_difference_interval",
             [](std::uint64_t both, std::uint64_t only_baseline, std::uint64_t only_candidate,
                std::uint64_t neither, double confidence) {
               const auto interval = Value(stats::PairedDifferenceInterval(
                   {both, only_baseline, only_candidate, neither}, confidence));
               return py::make_tuple(interval.low, interval.high);
             });
}

}  // namespace tidewheel::peers
