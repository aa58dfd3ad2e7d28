#include "tidewheel/base/counters.h"

namespace tidewheel {
namespace {

class NoCounter final : public Counter {
  void Add(double /*amount*/) override {}
};
class NoGauge final : public Gauge {
  void Set(double /*value*/) override {}
};
class NoHistogram final : public Histogram {
  void Observe(double /*value*/) override {}
};

}  // namespace

Counter& Counter::None() {
  static NoCounter none;
  return none;
}
Gauge& Gauge::None() {
  static NoGauge none;
  return none;
}
Histogram& Histogram::None() {
  static NoHistogram none;
  return none;
}

}  // namespace tidewheel
