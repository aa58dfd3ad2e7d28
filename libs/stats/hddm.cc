#include "tidewheel/stats/hddm.h"

#include <cmath>
#include <memory>
#include <numbers>
#include <string>
#include <string_view>

#include "tidewheel/stats/detector_state.h"

namespace tidewheel::stats {
namespace {

Result<void> CheckConfidences(std::string_view name, double drift, double warning,
                              DriftSides sides) {
  if (!(drift > 0 && drift <= warning && warning < 1)) {
    return Error{ErrorCode::kInvalidArgument,
                 std::string(name) + ": confidences must be 0 < drift <= warning < 1"};
  }
  if (sides > DriftSides::kBoth) {
    return Error{ErrorCode::kInvalidArgument, std::string(name) + ": unknown sides"};
  }
  return {};
}

}  // namespace

HddmA::HddmA(const HddmAOptions& options)
    : options_(options),
      log_drift_(-std::log(options.drift_confidence)),
      log_warning_(-std::log(options.warning_confidence)) {
  if (options.only_rates) TakeRates();
}

Result<void> HddmA::Check(const HddmAOptions& options) {
  return CheckConfidences("hddm_a", options.drift_confidence, options.warning_confidence,
                          options.sides);
}

Result<HddmA> HddmA::Make(const HddmAOptions& options) {
  return DetectorAccess::Make<HddmA>(options);
}
Result<HddmA> HddmA::Restore(std::string_view bytes) {
  return DetectorAccess::Restore<HddmA>(bytes);
}
std::string HddmA::SaveState() const { return DetectorAccess::Save(*this); }
std::unique_ptr<StreamDetector> HddmA::Clone() const { return std::make_unique<HddmA>(*this); }

template <typename Archive, typename OptionsRef, typename Self>
void HddmA::Fields(Archive& archive, OptionsRef& options, Self& self) {
  archive(options.drift_confidence);
  archive(options.warning_confidence);
  archive(options.sides);
  archive(options.only_rates);
  const auto mean = [&archive](auto& one) {
    archive(one.count);
    archive(one.sum);
  };
  mean(self.all_);
  mean(self.lowest_);
  mean(self.highest_);
}

bool HddmA::Consistent() const {
  const auto credible = [&](const Mean& mean) {
    return mean.count <= all_.count && (all_.count == 0 || mean.count > 0) &&
           Accepts(mean.count > 0 ? mean.value() : mean.sum);
  };
  return all_.count <= observations() && credible(all_) && credible(lowest_) && credible(highest_);
}

void HddmA::Clear() {
  all_ = {};
  lowest_ = {};
  highest_ = {};
}

StreamState HddmA::Step(double value) {
  ++all_.count;
  all_.sum += value;
  const auto bound = [&](const Mean& mean) {
    return std::sqrt(log_drift_ / (2 * static_cast<double>(mean.count)));
  };
  const double mean = all_.value();
  const double here = bound(all_);
  if (lowest_.count == 0 || lowest_.value() + bound(lowest_) >= mean + here) lowest_ = all_;
  if (highest_.count == 0 || highest_.value() - bound(highest_) <= mean - here) highest_ = all_;

  const bool up = options_.sides != DriftSides::kDown;
  const bool down = options_.sides != DriftSides::kUp;
  if ((up && Moved(lowest_, 1, log_drift_)) || (down && Moved(highest_, -1, log_drift_))) {
    return StreamState::kDrift;
  }
  if ((up && Moved(lowest_, 1, log_warning_)) || (down && Moved(highest_, -1, log_warning_))) {
    return StreamState::kWarning;
  }
  return StreamState::kStable;
}

bool HddmA::Moved(const Mean& cut, double direction, double log_confidence) const {
  if (cut.count == all_.count) return false;
  const auto n = static_cast<double>(all_.count);
  const auto before = static_cast<double>(cut.count);
  const double m = (n - before) / before / n;
  const double bound = std::sqrt(m / 2 * (std::numbers::ln2 + log_confidence));
  return direction * (all_.value() - cut.value()) >= bound;
}

HddmW::HddmW(const HddmWOptions& options)
    : options_(options),
      log_drift_(-std::log(options.drift_confidence)),
      log_warning_(-std::log(options.warning_confidence)) {
  if (options.only_rates) TakeRates();
}

Result<void> HddmW::Check(const HddmWOptions& options) {
  if (!(options.weight > 0 && options.weight < 1)) {
    return Error{ErrorCode::kInvalidArgument, "hddm_w: weight must be in (0, 1)"};
  }
  return CheckConfidences("hddm_w", options.drift_confidence, options.warning_confidence,
                          options.sides);
}

Result<HddmW> HddmW::Make(const HddmWOptions& options) {
  return DetectorAccess::Make<HddmW>(options);
}
Result<HddmW> HddmW::Restore(std::string_view bytes) {
  return DetectorAccess::Restore<HddmW>(bytes);
}
std::string HddmW::SaveState() const { return DetectorAccess::Save(*this); }
std::unique_ptr<StreamDetector> HddmW::Clone() const { return std::make_unique<HddmW>(*this); }

template <typename Archive, typename OptionsRef, typename Self>
void HddmW::Fields(Archive& archive, OptionsRef& options, Self& self) {
  archive(options.drift_confidence);
  archive(options.warning_confidence);
  archive(options.weight);
  archive(options.sides);
  archive(options.only_rates);
  const auto average = [&archive](auto& one) {
    archive(one.started);
    archive(one.value);
    archive(one.weights);
  };
  const auto cut = [&](auto& one) {
    archive(one.found);
    archive(one.bound);
    average(one.before);
    average(one.after);
  };
  average(self.all_);
  cut(self.up_);
  cut(self.down_);
}

bool HddmW::Consistent() const {
  const auto credible = [&](const Average& average) {
    return Accepts(average.value) && average.weights > 0 && average.weights <= 1;
  };
  const auto cut = [&](const Cut& one) {
    return one.found == all_.started && credible(one.before) && credible(one.after);
  };
  return credible(all_) && cut(up_) && cut(down_);
}

void HddmW::Clear() {
  all_ = {};
  up_ = {};
  down_ = {};
}

void HddmW::Add(Average& average, double value) const {
  const double weight = options_.weight;
  average.value = average.started ? weight * value + (1 - weight) * average.value : value;
  average.weights = weight * weight + (1 - weight) * (1 - weight) * average.weights;
  average.started = true;
}

void HddmW::Follow(Cut& cut, double direction, double value) const {
  const double bound = direction * all_.value + std::sqrt(all_.weights * log_drift_ / 2);
  if (!cut.found || bound < cut.bound) {
    cut = {.found = true, .bound = bound, .before = all_, .after = {}};
  } else {
    Add(cut.after, value);
  }
}

StreamState HddmW::Step(double value) {
  Add(all_, value);
  Follow(up_, 1, value);
  Follow(down_, -1, value);
  const bool up = options_.sides != DriftSides::kDown;
  const bool down = options_.sides != DriftSides::kUp;
  if ((up && Moved(up_, 1, log_drift_)) || (down && Moved(down_, -1, log_drift_))) {
    return StreamState::kDrift;
  }
  if ((up && Moved(up_, 1, log_warning_)) || (down && Moved(down_, -1, log_warning_))) {
    return StreamState::kWarning;
  }
  return StreamState::kStable;
}

bool HddmW::Moved(const Cut& cut, double direction, double log_confidence) const {
  if (!cut.after.started) return false;
  const double bound = std::sqrt((cut.before.weights + cut.after.weights) * log_confidence / 2);
  return direction * (cut.after.value - cut.before.value) > bound;
}

}  // namespace tidewheel::stats
