#pragma once

namespace tidewheel {

/// What the domain counts with. The defaults count nothing; libs/metrics has the Prometheus side.
/// Thread-safe.
class Counter {
 public:
  virtual ~Counter() = default;
  virtual void Add(double amount = 1) = 0;
  static Counter& None();
};

class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void Set(double value) = 0;
  static Gauge& None();
};

class Histogram {
 public:
  virtual ~Histogram() = default;
  /// In the unit the histogram's name ends with.
  virtual void Observe(double value) = 0;
  static Histogram& None();
};

}  // namespace tidewheel
