#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "tidewheel/stats/adwin.h"
#include "tidewheel/stats/cusum.h"
#include "tidewheel/stats/error_rate_detectors.h"
#include "tidewheel/stats/hddm.h"
#include "tidewheel/stats/kswin.h"
#include "tidewheel/stats/stream_calibration.h"
#include "tidewheel/stats/stream_detector.h"

namespace py = pybind11;

namespace tidewheel::peers {
namespace {

/// 0 stable, 1 warning, 2 drift, one a value.
Array<std::int32_t> States(stats::StreamDetector& detector, const Array<double>& values) {
  std::vector<std::int32_t> states;
  states.reserve(static_cast<std::size_t>(values.size()));
  for (const double value : Span(values)) {
    states.push_back(static_cast<std::int32_t>(Value(detector.Update(value))));
  }
  return Given(std::move(states));
}

stats::DriftSides Sides(const std::string& name) {
  if (name == "up") return stats::DriftSides::kUp;
  if (name == "down") return stats::DriftSides::kDown;
  if (name == "both") return stats::DriftSides::kBoth;
  throw py::value_error("sides are up, down or both");
}

py::dict Adwin(const Array<double>& values, double delta, std::uint32_t check_every,
               std::uint32_t max_buckets, std::uint32_t min_side, std::uint32_t grace) {
  auto adwin = Value(stats::Adwin::Make({.delta = delta,
                                         .check_every = check_every,
                                         .max_buckets = max_buckets,
                                         .min_side = min_side,
                                         .grace = grace}));
  py::dict made;
  made["states"] = States(adwin, values);
  made["width"] = adwin.width();
  made["mean"] = adwin.mean();
  made["variance"] = adwin.variance();
  return made;
}

/// How often each detector alarms; nothing of what is measured is kept.
std::uint64_t CountDrifts(const std::string& name, const Array<double>& values) {
  const auto detector = stats::MakeDetector(Value(stats::DetectorNamed(name)));
  std::uint64_t drifts = 0;
  for (const double value : Span(values)) {
    drifts += Value(detector->Update(value)) == stats::StreamState::kDrift ? 1 : 0;
  }
  return drifts;
}

py::dict FalseAlarms(const Array<double>& reference, const std::string& name,
                     double values_per_alarm, double confidence, std::uint64_t seed) {
  const auto detector = stats::MakeDetector(Value(stats::DetectorNamed(name)));
  const auto rate = Value(stats::EstimateFalseAlarms(
      Span(reference), *detector,
      {.values_per_alarm = values_per_alarm, .confidence = confidence, .seed = seed}));
  py::dict made;
  made["alarms"] = rate.alarms;
  made["budgets"] = static_cast<double>(rate.values) / values_per_alarm;
  made["dispersion"] = rate.dispersion;
  made["low"] = rate.per_budget_interval.low;
  made["high"] = rate.per_budget_interval.high;
  return made;
}

}  // namespace

PYBIND11_MODULE(streams, module) {
  const auto values = py::arg("values").noconvert();
  module.def("adwin", &Adwin, values, py::arg("delta") = 0.002, py::arg("check_every") = 32,
             py::arg("max_buckets") = 5, py::arg("min_side") = 5, py::arg("grace") = 10);
  module.def(
      "ddm",
      [](const Array<double>& stream, std::uint32_t warm_up, double warning, double drift) {
        auto ddm = Value(
            stats::Ddm::Make({.warm_up = warm_up, .warning_level = warning, .drift_level = drift}));
        return States(ddm, stream);
      },
      values, py::arg("warm_up") = 30, py::arg("warning") = 2, py::arg("drift") = 3);
  module.def(
      "eddm",
      [](const Array<double>& stream, std::uint32_t warm_up, double warning, double drift) {
        auto eddm = Value(stats::Eddm::Make(
            {.warm_up = warm_up, .warning_share = warning, .drift_share = drift}));
        return States(eddm, stream);
      },
      values, py::arg("warm_up") = 30, py::arg("warning") = 0.95, py::arg("drift") = 0.9);
  module.def(
      "hddm_a",
      [](const Array<double>& stream, double drift, double warning, const std::string& sides) {
        auto hddm = Value(stats::HddmA::Make(
            {.drift_confidence = drift, .warning_confidence = warning, .sides = Sides(sides)}));
        return States(hddm, stream);
      },
      values, py::arg("drift") = 0.001, py::arg("warning") = 0.005, py::arg("sides") = "up");
  module.def(
      "hddm_w",
      [](const Array<double>& stream, double drift, double warning, double weight,
         const std::string& sides) {
        auto hddm = Value(stats::HddmW::Make({.drift_confidence = drift,
                                              .warning_confidence = warning,
                                              .weight = weight,
                                              .sides = Sides(sides)}));
        return States(hddm, stream);
      },
      values, py::arg("drift") = 0.001, py::arg("warning") = 0.005, py::arg("weight") = 0.05,
      py::arg("sides") = "up");
  module.def(
      "page_hinkley",
      [](const Array<double>& stream, std::uint32_t warm_up, double slack, double threshold,
         double fading, const std::string& sides) {
        auto test = Value(stats::PageHinkley::Make({.warm_up = warm_up,
                                                    .slack = slack,
                                                    .threshold = threshold,
                                                    .fading = fading,
                                                    .sides = Sides(sides)}));
        return States(test, stream);
      },
      values, py::arg("warm_up") = 30, py::arg("slack") = 0.005, py::arg("threshold") = 50,
      py::arg("fading") = 0.9999, py::arg("sides") = "both");
  module.def(
      "kswin",
      [](const Array<double>& stream, double alpha, std::uint32_t window, std::uint32_t recent,
         std::uint64_t seed) {
        auto kswin = Value(
            stats::Kswin::Make({.alpha = alpha, .window = window, .recent = recent, .seed = seed}));
        std::vector<std::int32_t> states;
        std::vector<double> p_values;
        for (const double value : Span(stream)) {
          states.push_back(static_cast<std::int32_t>(Value(kswin.Update(value))));
          p_values.push_back(kswin.p_value());
        }
        return py::make_tuple(Given(std::move(states)), Given(std::move(p_values)));
      },
      values, py::arg("alpha") = 0.005, py::arg("window") = 100, py::arg("recent") = 30,
      py::arg("seed") = 1);
  module.def("kolmogorov_smirnov_tail", &stats::EqualSizesKolmogorovSmirnovTail);
  module.def("count_drifts", &CountDrifts, py::arg("detector"), values);
  module.def("false_alarms", &FalseAlarms, py::arg("reference").noconvert(), py::arg("detector"),
             py::arg("values_per_alarm"), py::arg("confidence") = 0.95, py::arg("seed") = 1);
}

}  // namespace tidewheel::peers
