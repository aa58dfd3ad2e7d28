#pragma once

// Inside of this library: what a Registry keeps, and what an Exposer scrapes.

#include <prometheus/collectable.h>
#include <prometheus/registry.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tidewheel/metrics/registry.h"

namespace tidewheel::metrics {

struct Registry::Families final : public prometheus::Collectable {
  /// A callback with the lock that ends it.
  struct Reading {
    std::string name;
    Labels labels;
    std::mutex
        mutex;  // Guards read; held while it runs, so that a Registration's end waits for it.
    std::function<double()> read;
  };
  struct Source {
    std::mutex mutex;  // As of a Reading.
    std::function<std::vector<SampledFamily>()> read;
  };
  struct Family {
    MetricKind kind = MetricKind::kGauge;
    std::string help;
    std::vector<std::string> label_names;
    enum class Source { kFixed, kChanging, kCallback } source = Source::kFixed;
  };

  std::vector<prometheus::MetricFamily> Collect() const override;

  /// Notes a family, or ends the process when the name is wrong or already another kind of thing.
  void Claim(MetricKind kind, Family::Source source, const std::string& name,
             const std::string& help, std::vector<std::string> label_names);

  std::string service;
  prometheus::Registry prometheus;
  ::tidewheel::Counter* refused_series = nullptr;

  mutable std::mutex mutex;  // Guards the maps below.
  std::map<std::string, Family> families;
  std::map<std::pair<std::string, Labels>, std::unique_ptr<::tidewheel::Counter>> counters;
  std::map<std::pair<std::string, Labels>, std::unique_ptr<::tidewheel::Gauge>> gauges;
  std::map<std::pair<std::string, Labels>, std::unique_ptr<::tidewheel::Histogram>> histograms;
  class ChangingGauges;
  std::map<std::string, std::unique_ptr<ChangingGauges>> changing;
  std::vector<std::shared_ptr<Reading>> readings;
  std::vector<std::shared_ptr<Source>> sources;
};

}  // namespace tidewheel::metrics
