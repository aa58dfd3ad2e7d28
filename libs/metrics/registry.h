#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"

namespace tidewheel::metrics {

/// Label names with their values: `{{"reason", "blurred"}}`. Values come from an enum, never from a
/// request.
using Labels = std::map<std::string, std::string>;

/// Upper bounds of a histogram's buckets, rising; the last, infinite one is implied.
using Buckets = std::vector<double>;

/// 100 us to 10 s in steps of about 2.5: for what ends in `_seconds`.
Buckets LatencyBuckets();
/// `count` bounds: first, first * factor, ...
Buckets ExponentialBuckets(double first, double factor, int count);
/// `count` bounds: first, first + step, ...
Buckets LinearBuckets(double first, double step, int count);

/// Whether a metric may be called so: `tidewheel_<service>_<thing>_<unit>`, lower case. Counters
/// end in `_total`; the rest in a unit: `_seconds`, `_bytes`, `_ratio`, `_info`, or the plural of
/// what is counted (`_requests`). kInvalidArgument says what is missing.
enum class MetricKind { kCounter, kGauge, kHistogram };
Result<void> CheckMetricName(MetricKind kind, std::string_view name);

/// Gauges whose labels come and go (a task, a model, a class). Bounded: a family never grows past
/// its limit, and what it refused is counted in `tidewheel_metrics_refused_series_total`.
/// Thread-safe.
class GaugeFamily {
 public:
  virtual ~GaugeFamily() = default;
  /// Values in the order of the family's label names. False: the family is full.
  virtual bool Set(const std::vector<std::string>& values, double value) = 0;
  /// Takes one series away; nothing when it is not there.
  virtual void Remove(const std::vector<std::string>& values) = 0;
  /// Takes away every series whose label `name` is `value` (a task that was deleted); says how
  /// many.
  virtual std::size_t RemoveWhere(std::string_view name, std::string_view value) = 0;
  virtual std::size_t size() const = 0;
};

/// A family as it is at a scrape, of figures that somebody else keeps.
struct SampledFamily {
  std::string name;
  std::string help;
  MetricKind kind = MetricKind::kGauge;
  Buckets bounds{};  // Of a histogram.
  struct Sample {
    Labels labels{};
    double value = 0;
    // Of a histogram: each bucket alone, the infinite one last, and the sum of what was observed.
    std::vector<std::uint64_t> counts{};
    double sum = 0;
  };
  std::vector<Sample> samples{};
};

/// Keeps a callback known to the registry; the callback is never called again once this is
/// destroyed.
class [[nodiscard]] Registration {
 public:
  Registration() = default;
  explicit Registration(std::shared_ptr<void> entry) : entry_(std::move(entry)) {}

 private:
  std::shared_ptr<void> entry_;
};

/// The counters of one process, exposed to Prometheus by an Exposer. References it gives stay valid
/// as long as it lives; asking twice for the same name and labels gives the same one. A name that
/// CheckMetricName refuses, or one used for two kinds, is a mistake in the code and ends the
/// process. Thread-safe.
class Registry {
 public:
  /// Also registers the process's own metrics (memory, CPU, files, start) and
  /// `tidewheel_build_info`.
  explicit Registry(std::string_view service);
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  ::tidewheel::Counter& Counter(const std::string& name, const std::string& help,
                                const Labels& labels = {});
  ::tidewheel::Gauge& Gauge(const std::string& name, const std::string& help,
                            const Labels& labels = {});
  ::tidewheel::Histogram& Histogram(const std::string& name, const std::string& help,
                                    const Labels& labels = {},
                                    const Buckets& buckets = LatencyBuckets());

  /// `label_names` is not empty; `max_series` bounds the family.
  GaugeFamily& Gauges(const std::string& name, const std::string& help,
                      const std::vector<std::string>& label_names, std::size_t max_series = 10'000);

  /// A gauge (or, where the name ends in `_total`, a counter) that asks `read` at each scrape.
  /// `read` runs on the exposer's thread, must be quick and must not throw or use this registry.
  Registration Callback(const std::string& name, const std::string& help, const Labels& labels,
                        std::function<double()> read);

  /// Families that are asked for at each scrape, under the rules of Callback. Their names are the
  /// caller's affair: dashboards of others know some by names that CheckMetricName would refuse.
  Registration Source(std::function<std::vector<SampledFamily>()> read);

  /// The text that /metrics answers.
  std::string Text() const;

 private:
  friend class Exposer;
  struct Families;
  std::shared_ptr<Families> families_;
};

}  // namespace tidewheel::metrics
