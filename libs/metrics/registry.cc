#include "tidewheel/metrics/registry.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <limits>
#include <utility>

#include "tidewheel/base/build_identity.h"
#include "tidewheel/metrics/internal/families.h"
#include "tidewheel/metrics/process.h"

namespace tidewheel::metrics {
namespace {

[[noreturn]] void Die(const std::string& name, const std::string& why) {
  std::fprintf(stderr, "metric %s: %s\n", name.c_str(), why.c_str());
  std::abort();
}

class PrometheusCounter final : public Counter {
 public:
  explicit PrometheusCounter(prometheus::Counter& counter) : counter_(counter) {}
  void Add(double amount) override { counter_.Increment(amount); }

 private:
  prometheus::Counter& counter_;
};

class PrometheusGauge final : public Gauge {
 public:
  explicit PrometheusGauge(prometheus::Gauge& gauge) : gauge_(gauge) {}
  void Set(double value) override { gauge_.Set(value); }

 private:
  prometheus::Gauge& gauge_;
};

class PrometheusHistogram final : public Histogram {
 public:
  explicit PrometheusHistogram(prometheus::Histogram& histogram) : histogram_(histogram) {}
  void Observe(double value) override { histogram_.Observe(value); }

 private:
  prometheus::Histogram& histogram_;
};

std::vector<std::string> NamesOf(const Labels& labels) {
  std::vector<std::string> names;
  for (const auto& [name, value] : labels) names.push_back(name);
  return names;
}

std::vector<prometheus::ClientMetric::Label> ToLabels(const Labels& labels) {
  std::vector<prometheus::ClientMetric::Label> all;
  for (const auto& [name, value] : labels) all.push_back({name, value});
  return all;
}

prometheus::MetricFamily Single(const char* name, const char* help, prometheus::MetricType type,
                                double value, const Labels& labels = {}) {
  prometheus::ClientMetric metric;
  metric.label = ToLabels(labels);
  metric.counter.value = value;
  metric.gauge.value = value;
  return {name, help, type, {metric}};
}

prometheus::MetricFamily ToFamily(const SampledFamily& from) {
  prometheus::MetricFamily family;
  family.name = from.name;
  family.help = from.help;
  family.type = from.kind == MetricKind::kCounter     ? prometheus::MetricType::Counter
                : from.kind == MetricKind::kHistogram ? prometheus::MetricType::Histogram
                                                      : prometheus::MetricType::Gauge;
  for (const SampledFamily::Sample& sample : from.samples) {
    prometheus::ClientMetric metric;
    metric.label = ToLabels(sample.labels);
    metric.counter.value = sample.value;
    metric.gauge.value = sample.value;
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < sample.counts.size(); ++i) {
      below += sample.counts[i];
      const double bound =
          i < from.bounds.size() ? from.bounds[i] : std::numeric_limits<double>::infinity();
      metric.histogram.bucket.push_back({below, bound});
    }
    metric.histogram.sample_count = below;
    metric.histogram.sample_sum = sample.sum;
    family.metric.push_back(std::move(metric));
  }
  return family;
}

bool IsWord(std::string_view text) {
  return !text.empty() &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") == std::string_view::npos;
}

bool IsLabelName(std::string_view name) {
  return !name.empty() && name != "le" && !name.starts_with("__") &&
         !(name[0] >= '0' && name[0] <= '9') &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

}  // namespace

Buckets LatencyBuckets() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
          0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};
}

Buckets ExponentialBuckets(double first, double factor, int count) {
  Buckets bounds;
  for (int i = 0; i < count; ++i, first *= factor) bounds.push_back(first);
  return bounds;
}

Buckets LinearBuckets(double first, double step, int count) {
  Buckets bounds;
  for (int i = 0; i < count; ++i) bounds.push_back(first + step * i);
  return bounds;
}

Result<void> CheckMetricName(MetricKind kind, std::string_view name) {
  const auto refuse = [](std::string why) {
    return Error{ErrorCode::kInvalidArgument, std::move(why)};
  };
  std::vector<std::string_view> words;
  for (std::string_view rest = name;;) {
    const auto end = rest.find('_');
    words.push_back(rest.substr(0, end));
    if (!IsWord(words.back()))
      return refuse("must be lower-case words joined by single underscores");
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  if (words[0] != "tidewheel" || words.size() < 4) {
    return refuse("must be tidewheel_<service>_<thing>_<unit>");
  }
  const std::string_view unit = words.back();
  if (kind == MetricKind::kCounter) {
    if (unit != "total") return refuse("is a counter and must end in _total");
    return {};
  }
  if (unit != "ratio" && unit != "info" && !unit.ends_with('s')) {
    return refuse(
        "must end in a unit: _seconds, _bytes, _ratio, _info or the plural of what is counted");
  }
  return {};
}

/// Gauges by the values of their labels.
class Registry::Families::ChangingGauges final : public GaugeFamily {
 public:
  ChangingGauges(std::string name, std::string help, std::vector<std::string> label_names,
                 std::size_t max_series, ::tidewheel::Counter& refused)
      : name_(std::move(name)),
        help_(std::move(help)),
        label_names_(std::move(label_names)),
        max_series_(max_series),
        refused_(refused) {}

  bool Set(const std::vector<std::string>& values, double value) override {
    if (values.size() != label_names_.size()) {
      Die(name_, "has " + std::to_string(label_names_.size()) + " labels, not " +
                     std::to_string(values.size()));
    }
    {
      const std::lock_guard lock(mutex_);
      const auto found = series_.find(values);
      if (found != series_.end()) {
        found->second = value;
        return true;
      }
      if (series_.size() < max_series_) {
        series_.emplace(values, value);
        return true;
      }
    }
    refused_.Add();
    return false;
  }

  void Remove(const std::vector<std::string>& values) override {
    const std::lock_guard lock(mutex_);
    series_.erase(values);
  }

  std::size_t RemoveWhere(std::string_view name, std::string_view value) override {
    const auto label = std::find(label_names_.begin(), label_names_.end(), name);
    if (label == label_names_.end()) Die(name_, "has no label " + std::string(name));
    const auto index = static_cast<std::size_t>(label - label_names_.begin());
    const std::lock_guard lock(mutex_);
    return std::erase_if(series_, [&](const auto& entry) { return entry.first[index] == value; });
  }

  std::size_t size() const override {
    const std::lock_guard lock(mutex_);
    return series_.size();
  }

  prometheus::MetricFamily Collect() const {
    prometheus::MetricFamily family{name_, help_, prometheus::MetricType::Gauge, {}};
    const std::lock_guard lock(mutex_);
    for (const auto& [values, value] : series_) {
      prometheus::ClientMetric metric;
      for (std::size_t i = 0; i < values.size(); ++i) {
        metric.label.push_back({label_names_[i], values[i]});
      }
      metric.gauge.value = value;
      family.metric.push_back(std::move(metric));
    }
    return family;
  }

 private:
  const std::string name_;
  const std::string help_;
  const std::vector<std::string> label_names_;
  const std::size_t max_series_;
  ::tidewheel::Counter& refused_;
  mutable std::mutex mutex_;  // Guards series_.
  std::map<std::vector<std::string>, double> series_;
};

void Registry::Families::Claim(MetricKind kind, Family::Source source, const std::string& name,
                               const std::string& help, std::vector<std::string> label_names) {
  if (const auto checked = CheckMetricName(kind, name); !checked)
    Die(name, checked.error().message);
  for (const auto& label : label_names) {
    if (!IsLabelName(label)) Die(name, "label \"" + label + "\" is not a label's name");
  }
  const auto [found, fresh] = families.try_emplace(name, Family{kind, help, label_names, source});
  if (fresh) return;
  const Family& family = found->second;
  if (family.kind != kind || family.source != source)
    Die(name, "is already another kind of metric");
  if (family.label_names != label_names) Die(name, "has other labels already");
}

std::vector<prometheus::MetricFamily> Registry::Families::Collect() const {
  using prometheus::MetricType;
  auto all = prometheus.Collect();

  std::vector<std::shared_ptr<Reading>> now;
  std::vector<std::shared_ptr<Families::Source>> asked;
  {
    const std::lock_guard lock(mutex);
    for (const auto& [name, family] : changing) all.push_back(family->Collect());
    now = readings;
    asked = sources;
  }
  for (const auto& source : asked) {
    const std::lock_guard lock(source->mutex);
    if (!source->read) continue;
    for (const SampledFamily& family : source->read()) all.push_back(ToFamily(family));
  }
  // The newest of the same series counts: its predecessor is about to go.
  std::map<std::string, std::map<Labels, double>> values;
  for (const auto& reading : now) {
    const std::lock_guard lock(reading->mutex);
    if (reading->read) values[reading->name][reading->labels] = reading->read();
  }
  for (const auto& [name, series] : values) {
    prometheus::MetricFamily family;
    family.name = name;
    {
      const std::lock_guard lock(mutex);
      const Family& known = families.at(name);
      family.help = known.help;
      family.type = known.kind == MetricKind::kCounter ? MetricType::Counter : MetricType::Gauge;
    }
    for (const auto& [labels, value] : series) {
      prometheus::ClientMetric metric;
      metric.label = ToLabels(labels);
      metric.counter.value = value;
      metric.gauge.value = value;
      family.metric.push_back(std::move(metric));
    }
    all.push_back(std::move(family));
  }

  const ProcessUsage usage = ReadProcessUsage();
  const BuildIdentity build = CurrentBuild();
  all.push_back(Single("process_resident_memory_bytes", "Memory held in RAM.", MetricType::Gauge,
                       usage.resident_bytes));
  all.push_back(Single("process_virtual_memory_bytes", "Address space in use.", MetricType::Gauge,
                       usage.virtual_bytes));
  all.push_back(Single("process_cpu_seconds_total", "User and system time since the start.",
                       MetricType::Counter, usage.cpu_seconds));
  all.push_back(Single("process_start_time_seconds", "When the process started, in Unix time.",
                       MetricType::Gauge, usage.start_seconds));
  all.push_back(Single("process_threads", "Threads.", MetricType::Gauge, usage.threads));
  all.push_back(
      Single("process_open_fds", "Open file descriptors.", MetricType::Gauge, usage.open_files));
  all.push_back(Single("process_max_fds", "The most file descriptors allowed.", MetricType::Gauge,
                       usage.max_files));
  all.push_back(Single("tidewheel_build_info", "Which code this is; always 1.", MetricType::Gauge,
                       1,
                       {{"service", service},
                        {"version", std::string(build.version)},
                        {"commit", std::string(build.commit)},
                        {"clean", build.clean ? "true" : "false"},
                        {"build_type", std::string(build.build_type)}}));
  return all;
}

Registry::Registry(std::string_view service) : families_(std::make_shared<Families>()) {
  families_->service = std::string(service);
  families_->refused_series =
      &Counter("tidewheel_metrics_refused_series_total",
               "Series that a family with changing labels refused because it was full.");
}

Registry::~Registry() = default;

Counter& Registry::Counter(const std::string& name, const std::string& help, const Labels& labels) {
  const std::lock_guard lock(families_->mutex);
  families_->Claim(MetricKind::kCounter, Families::Family::Source::kFixed, name, help,
                   NamesOf(labels));
  auto& slot = families_->counters[{name, labels}];
  if (slot == nullptr) {
    auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(families_->prometheus);
    slot = std::make_unique<PrometheusCounter>(family.Add(labels));
  }
  return *slot;
}

Gauge& Registry::Gauge(const std::string& name, const std::string& help, const Labels& labels) {
  const std::lock_guard lock(families_->mutex);
  families_->Claim(MetricKind::kGauge, Families::Family::Source::kFixed, name, help,
                   NamesOf(labels));
  auto& slot = families_->gauges[{name, labels}];
  if (slot == nullptr) {
    auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(families_->prometheus);
    slot = std::make_unique<PrometheusGauge>(family.Add(labels));
  }
  return *slot;
}

Histogram& Registry::Histogram(const std::string& name, const std::string& help,
                               const Labels& labels, const Buckets& buckets) {
  if (buckets.empty() ||
      std::adjacent_find(buckets.begin(), buckets.end(), std::greater_equal<>()) != buckets.end()) {
    Die(name, "needs buckets that rise");
  }
  const std::lock_guard lock(families_->mutex);
  families_->Claim(MetricKind::kHistogram, Families::Family::Source::kFixed, name, help,
                   NamesOf(labels));
  auto& slot = families_->histograms[{name, labels}];
  if (slot == nullptr) {
    auto& family =
        prometheus::BuildHistogram().Name(name).Help(help).Register(families_->prometheus);
    slot = std::make_unique<PrometheusHistogram>(family.Add(labels, buckets));
  }
  return *slot;
}

GaugeFamily& Registry::Gauges(const std::string& name, const std::string& help,
                              const std::vector<std::string>& label_names, std::size_t max_series) {
  if (label_names.empty()) Die(name, "needs labels that change");
  const std::lock_guard lock(families_->mutex);
  families_->Claim(MetricKind::kGauge, Families::Family::Source::kChanging, name, help,
                   label_names);
  auto& slot = families_->changing[name];
  if (slot == nullptr) {
    slot = std::make_unique<Families::ChangingGauges>(name, help, label_names, max_series,
                                                      *families_->refused_series);
  }
  return *slot;
}

Registration Registry::Callback(const std::string& name, const std::string& help,
                                const Labels& labels, std::function<double()> read) {
  auto reading = std::make_shared<Families::Reading>();
  reading->name = name;
  reading->labels = labels;
  reading->read = std::move(read);
  {
    const std::lock_guard lock(families_->mutex);
    families_->Claim(name.ends_with("_total") ? MetricKind::kCounter : MetricKind::kGauge,
                     Families::Family::Source::kCallback, name, help, NamesOf(labels));
    families_->readings.push_back(reading);
  }
  return Registration(std::shared_ptr<void>(
      reading.get(), [reading, weak = std::weak_ptr(families_)](void* /*same*/) {
        {
          const std::lock_guard lock(reading->mutex);
          reading->read = nullptr;
        }
        if (const auto families = weak.lock()) {
          const std::lock_guard lock(families->mutex);
          std::erase(families->readings, reading);
        }
      }));
}

Registration Registry::Source(std::function<std::vector<SampledFamily>()> read) {
  auto source = std::make_shared<Families::Source>();
  source->read = std::move(read);
  {
    const std::lock_guard lock(families_->mutex);
    families_->sources.push_back(source);
  }
  return Registration(std::shared_ptr<void>(
      source.get(), [source, weak = std::weak_ptr(families_)](void* /*same*/) {
        {
          const std::lock_guard lock(source->mutex);
          source->read = nullptr;
        }
        if (const auto families = weak.lock()) {
          const std::lock_guard lock(families->mutex);
          std::erase(families->sources, source);
        }
      }));
}

std::string Registry::Text() const {
  return prometheus::TextSerializer().Serialize(families_->Collect());
}

}  // namespace tidewheel::metrics
