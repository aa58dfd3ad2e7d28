#include "tidewheel/stats/stream_calibration.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/adwin.h"
#include "tidewheel/stats/cusum.h"
#include "tidewheel/stats/error_rate_detectors.h"
#include "tidewheel/stats/hddm.h"
#include "tidewheel/stats/kswin.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::stats {
namespace {

constexpr std::size_t kLeastReference = 50;
constexpr double kLeastExpected = 20;
constexpr std::uint32_t kMostThreads = 256;

Error Invalid(std::string message) {
  return {ErrorCode::kInvalidArgument, "stream calibration: " + std::move(message)};
}
Error NotPossible(std::string message) {
  return {ErrorCode::kFailedPrecondition, "stream calibration: " + std::move(message)};
}

template <typename D>
Result<std::unique_ptr<StreamDetector>> MakeWith(const typename D::Options& options) {
  auto detector = D::Make(options);
  if (!detector) return detector.error();
  return std::unique_ptr<StreamDetector>(std::make_unique<D>(*std::move(detector)));
}

/// What is simulated: `streams` streams of `length` values each.
struct Plan {
  std::span<const double> reference;
  std::uint64_t streams = 0;
  std::uint64_t length = 0;
  double allowed = 0;  // Alarms in all of it.
  double block = 1;
};

struct Outcome {
  std::vector<std::uint32_t> alarms;  // By stream.
  bool over = false;                  // Stopped early: more than allowed.
};

Result<void> CheckReference(std::span<const double> reference) {
  if (reference.size() < kLeastReference) {
    return Invalid("reference of " + std::to_string(reference.size()) + " values, at least " +
                   std::to_string(kLeastReference) + " are needed");
  }
  for (std::size_t i = 0; i < reference.size(); ++i) {
    if (!std::isfinite(reference[i])) {
      return Invalid("row " + std::to_string(i) + " of the reference is not a finite number");
    }
  }
  const auto [least, largest] = std::minmax_element(reference.begin(), reference.end());
  if (*least == *largest) {
    return NotPossible(
        "not applicable, because the reference is constant and resampling it tells "
        "nothing of false alarms");
  }
  return {};
}

Result<Plan> MakePlan(std::span<const double> reference, const CalibrationOptions& options) {
  if (auto checked = CheckReference(reference); !checked) return checked.error();
  if (!(options.values_per_alarm >= 1 && options.values_per_alarm <= 1e15)) {
    return Invalid("values_per_alarm must be in [1, 1e15]");
  }
  if (!(options.expected_alarms >= kLeastExpected && options.expected_alarms <= 1e6)) {
    return Invalid("expected_alarms must be in [20, 1e6]");
  }
  if (!(options.confidence > 0 && options.confidence < 1)) {
    return Invalid("confidence must be in (0, 1)");
  }
  if (!(options.tolerance > 0 && options.tolerance < 1)) {
    return Invalid("tolerance must be in (0, 1)");
  }
  if (options.threads < 1 || options.threads > kMostThreads) {
    return Invalid("threads must be 1 to " + std::to_string(kMostThreads));
  }
  if (!(options.block_length == 0 || (options.block_length >= 1 && options.block_length <= 1e15))) {
    return Invalid("block_length must be 0 or at least 1");
  }
  Plan plan{.reference = reference, .block = options.block_length};
  const double budget = options.values_per_alarm;
  plan.length =
      options.horizon > 0 ? options.horizon : static_cast<std::uint64_t>(std::ceil(budget));
  const double most = static_cast<double>(options.max_values);
  const auto length = static_cast<double>(plan.length);
  const double streams =
      std::min(std::ceil(options.expected_alarms * budget / length), std::floor(most / length));
  plan.allowed = streams * length / budget;
  if (streams < 1 || plan.allowed < kLeastExpected) {
    return Invalid("one alarm in " + std::to_string(budget) + " values, in streams of " +
                   std::to_string(plan.length) + ", needs more than max_values = " +
                   std::to_string(options.max_values) + " simulated values to see 20");
  }
  plan.streams = static_cast<std::uint64_t>(streams);
  if (plan.block == 0) {
    const auto chosen = ChooseBlockLength(reference);
    if (!chosen) return chosen.error();
    plan.block = *chosen;
  }
  return plan;
}

/// Alarms of a fresh copy of `detector` on stream number `stream`.
std::uint32_t CountAlarms(const Plan& plan, const StreamDetector& detector, std::uint64_t stream,
                          std::uint64_t seed) {
  Random random(StableHash("resampled stream", seed + stream * 0xD1342543DE82EF95ULL));
  const std::unique_ptr<StreamDetector> copy = detector.Clone();
  copy->Reset();
  const std::size_t size = plan.reference.size();
  const double leave = 1 / plan.block;
  std::uint32_t alarms = 0;
  std::size_t at = random.Below(size);
  for (std::uint64_t i = 0; i < plan.length; ++i) {
    // Every value of the reference has been accepted before.
    alarms += *copy->Update(plan.reference[at]) == StreamState::kDrift ? 1 : 0;
    if (plan.block == 1 || random.Uniform() < leave) {
      at = random.Below(size);
    } else {
      at = at + 1 == size ? 0 : at + 1;
    }
  }
  return alarms;
}

Outcome Simulate(const Plan& plan, const StreamDetector& detector,
                 const CalibrationOptions& options, bool stop_when_over) {
  Outcome outcome;
  outcome.alarms.resize(plan.streams);
  std::atomic<std::uint64_t> all{0};
  const auto run = [&](std::uint64_t first, std::uint64_t step) {
    for (std::uint64_t s = first; s < plan.streams; s += step) {
      outcome.alarms[s] = CountAlarms(plan, detector, s, options.seed);
      const std::uint64_t total = all.fetch_add(outcome.alarms[s]) + outcome.alarms[s];
      if (stop_when_over && static_cast<double>(total) > plan.allowed) return;
    }
  };
  if (options.threads == 1) {
    run(0, 1);
  } else {
    std::vector<std::jthread> threads;
    for (std::uint32_t t = 0; t < options.threads; ++t) {
      threads.emplace_back(run, t, options.threads);
    }
  }
  outcome.over = static_cast<double>(all.load()) > plan.allowed;
  return outcome;
}

/// Where a monotone function of x > 0 crosses zero from below.
template <typename Function>
double Crossing(double high, const Function& function) {
  double low = 0;
  while (function(high) < 0) {
    low = high;
    high *= 2;
  }
  for (int i = 0; i < 200 && high - low > 1e-12 * high; ++i) {
    const double middle = (low + high) / 2;
    (function(middle) < 0 ? low : high) = middle;
  }
  return (low + high) / 2;
}

/// Garwood's interval for the mean of a Poisson count, which need not be whole here.
Interval PoissonInterval(double count, double confidence) {
  const double tail = (1 - confidence) / 2;
  Interval interval;
  if (count > 0) {
    interval.low = Crossing(count, [&](double x) { return RegularizedGammaP(count, x) - tail; });
  }
  interval.high =
      Crossing(count + 1, [&](double x) { return tail - RegularizedGammaQ(count + 1, x); });
  return interval;
}

Result<std::uint64_t> CountInReference(std::span<const double> reference,
                                       const StreamDetector& detector) {
  const std::unique_ptr<StreamDetector> copy = detector.Clone();
  copy->Reset();
  const auto events = FindEvents(*copy, reference);
  if (!events) return events.error();
  return static_cast<std::uint64_t>(
      std::count_if(events->begin(), events->end(),
                    [](const StreamEvent& event) { return event.state == StreamState::kDrift; }));
}

FalseAlarmRate Summarize(const Plan& plan, const std::vector<std::uint32_t>& alarms,
                         double confidence) {
  FalseAlarmRate rate;
  rate.values = plan.streams * plan.length;
  rate.block_length = plan.block;
  for (const std::uint32_t count : alarms) rate.alarms += count;
  const auto streams = static_cast<double>(plan.streams);
  const auto total = static_cast<double>(rate.alarms);
  const double mean = total / streams;
  double squares = 0;
  for (const std::uint32_t count : alarms) squares += (count - mean) * (count - mean);
  if (plan.streams > 1 && mean > 0) {
    rate.dispersion = std::max(1.0, squares / (streams - 1) / mean);
  }
  const Interval interval = PoissonInterval(total / rate.dispersion, confidence);
  rate.per_budget = total / plan.allowed;
  rate.per_budget_interval = {interval.low * rate.dispersion / plan.allowed,
                              interval.high * rate.dispersion / plan.allowed};
  return rate;
}

}  // namespace

ThresholdFamily OpenThreshold(DetectorKind kind) {
  switch (kind) {
    case DetectorKind::kDdm:
      return {
          [](double t) { return MakeWith<Ddm>({.warning_level = t * 2 / 3, .drift_level = t}); },
          0.05, 1e3, true};
    case DetectorKind::kEddm:
      return {[](double t) {
                return MakeWith<Eddm>({.warning_share = 1 - t / 2, .drift_share = 1 - t});
              },
              1e-3, 0.999, false};
    case DetectorKind::kHddmA:
      return {[](double t) {
                const double drift = std::pow(10, -t);
                return MakeWith<HddmA>(
                    {.drift_confidence = drift, .warning_confidence = std::min(5 * drift, 0.999)});
              },
              0.01, 300, true};
    case DetectorKind::kHddmW:
      return {[](double t) {
                const double drift = std::pow(10, -t);
                return MakeWith<HddmW>(
                    {.drift_confidence = drift, .warning_confidence = std::min(5 * drift, 0.999)});
              },
              0.01, 300, true};
    case DetectorKind::kPageHinkley:
      return {[](double t) { return MakeWith<PageHinkley>({.threshold = t}); }, 1e-9, 1e12, true};
    case DetectorKind::kKswin:
      return {[](double t) { return MakeWith<Kswin>({.alpha = std::pow(10, -t)}); }, 0.01, 16.7,
              false};
    case DetectorKind::kCusum:
      return {[](double t) { return MakeWith<Cusum>({.threshold = t}); }, 1e-9, 1e12, true};
    case DetectorKind::kEwma:
      return {[](double t) { return MakeWith<EwmaChart>({.control_limit = t}); }, 0.05, 1e3, true};
    case DetectorKind::kAdwin:
      break;
  }
  return {[](double t) { return MakeWith<Adwin>({.delta = std::pow(10, -t)}); }, 0.01, 300, true};
}

Result<double> ValuesPerAlarm(double days, double per_day) {
  const double values = days * per_day;
  if (!(days > 0 && per_day > 0 && std::isfinite(values))) {
    return Invalid("days and values a day must be above 0 and finite");
  }
  return values;
}

Result<FalseAlarmRate> EstimateFalseAlarms(std::span<const double> reference,
                                           const StreamDetector& detector,
                                           const CalibrationOptions& options) {
  const auto plan = MakePlan(reference, options);
  if (!plan) return plan.error();
  const auto in_reference = CountInReference(reference, detector);
  if (!in_reference) return in_reference.error();
  const Outcome outcome = Simulate(*plan, detector, options, false);
  FalseAlarmRate rate = Summarize(*plan, outcome.alarms, options.confidence);
  rate.reference_alarms = *in_reference;
  return rate;
}

Result<Calibration> CalibrateThreshold(std::span<const double> reference,
                                       const ThresholdFamily& family,
                                       const CalibrationOptions& options) {
  const auto plan = MakePlan(reference, options);
  if (!plan) return plan.error();
  if (!family.make) return Invalid("the family makes no detectors");
  if (!(family.low < family.high && std::isfinite(family.low) && std::isfinite(family.high)) ||
      (family.logarithmic && family.low <= 0)) {
    return Invalid("the family's thresholds must be low < high, and above 0 where logarithmic");
  }

  Calibration calibration;
  // In the budget, or not. Rows that the detector refuses come out at the first threshold.
  const auto quiet = [&](double threshold) -> Result<bool> {
    const auto detector = family.make(threshold);
    if (!detector) return detector.error();
    if (calibration.thresholds_tried++ == 0) {
      if (auto counted = CountInReference(reference, **detector); !counted) return counted.error();
    }
    return !Simulate(*plan, **detector, options, true).over;
  };

  const auto at_high = quiet(family.high);
  if (!at_high) return at_high.error();
  if (!*at_high) {
    return NotPossible("not reachable: more than one alarm in " +
                       std::to_string(options.values_per_alarm) + " values at threshold " +
                       std::to_string(family.high) + ", the largest of the family");
  }
  const auto at_low = quiet(family.low);
  if (!at_low) return at_low.error();
  double high = family.high;
  if (*at_low) {
    high = family.low;
  } else {
    double low = family.low;
    const double scale = family.logarithmic ? 0 : (family.high - family.low) * 1e-9;
    while (high - low > options.tolerance * std::abs(high) + scale) {
      const double middle =
          family.logarithmic ? std::sqrt(low) * std::sqrt(high) : (low + high) / 2;
      if (middle <= low || middle >= high) break;
      const auto at_middle = quiet(middle);
      if (!at_middle) return at_middle.error();
      (*at_middle ? high : low) = middle;
    }
  }
  const auto detector = family.make(high);
  if (!detector) return detector.error();
  const auto rate = EstimateFalseAlarms(reference, **detector, options);
  if (!rate) return rate.error();
  calibration.threshold = high;
  calibration.rate = *rate;
  return calibration;
}

Result<double> ChooseBlockLength(std::span<const double> series) {
  if (auto checked = CheckReference(series); !checked) return checked.error();
  const std::size_t size = series.size();
  const auto n = static_cast<double>(size);
  double mean = 0;
  for (const double value : series) mean += value / n;
  std::vector<double> covariance;  // By lag, as far as it was needed.
  const auto at = [&](std::size_t lag) {
    while (covariance.size() <= lag) {
      const std::size_t k = covariance.size();
      double sum = 0;
      for (std::size_t i = k; i < size; ++i) sum += (series[i] - mean) * (series[i - k] - mean);
      covariance.push_back(sum / n);
    }
    return covariance[lag];
  };
  // The last lag before `run` lags in a row that cannot be told from zero.
  const auto run = static_cast<std::size_t>(std::max(5.0, std::ceil(std::sqrt(std::log10(n)))));
  const std::size_t furthest =
      std::min(static_cast<std::size_t>(std::ceil(std::sqrt(n))) + run, (size - 1) / 2);
  const double noise = 2 * std::sqrt(std::log10(n) / n);
  std::size_t last = 0;
  for (std::size_t lag = 1; lag <= furthest && lag <= last + run; ++lag) {
    if (std::abs(at(lag)) > noise * at(0)) last = lag;
  }
  if (last == 0) return 1.0;
  const std::size_t width = std::min(2 * last, size - 1);
  double spectrum = at(0);
  double slope = 0;
  for (std::size_t lag = 1; lag <= width; ++lag) {
    const double t = static_cast<double>(lag) / static_cast<double>(width);
    const double weight = t <= 0.5 ? 1 : 2 * (1 - t);
    spectrum += 2 * weight * at(lag);
    slope += 2 * weight * static_cast<double>(lag) * at(lag);
  }
  const double variance = 2 * spectrum * spectrum;
  if (!(variance > 0)) return 1.0;
  const double block = std::cbrt(2 * slope * slope / variance * n);
  return std::clamp(block, 1.0, std::min(3 * std::sqrt(n), n / 3));
}

}  // namespace tidewheel::stats
