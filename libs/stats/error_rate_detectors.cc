#include "tidewheel/stats/error_rate_detectors.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <string_view>

#include "tidewheel/stats/detector_state.h"

namespace tidewheel::stats {
namespace {

// Ross et al. 2012, table 1: the limit for weight 0.2 and 400 values between false alarms.
double LimitFor400(double rate) {
  const double p = std::clamp(rate, 0.0, 0.5);
  const double square = p * p;
  return 3.97 + p * (-6.56 + square * (48.73 + square * (-330.13 + square * 848.18)));
}

// Of a rate; 0 where the values are none and left [0, 1].
double BernoulliVariance(double rate) { return std::max(0.0, rate * (1 - rate)); }

}  // namespace

Ddm::Ddm(const DdmOptions& options) : options_(options) {
  if (options.only_rates) TakeRates();
}

Result<void> Ddm::Check(const DdmOptions& options) {
  if (!(options.warning_level > 0 && options.warning_level <= options.drift_level &&
        std::isfinite(options.drift_level))) {
    return Error{ErrorCode::kInvalidArgument, "ddm: levels must be 0 < warning <= drift"};
  }
  return {};
}

Result<Ddm> Ddm::Make(const DdmOptions& options) { return DetectorAccess::Make<Ddm>(options); }
Result<Ddm> Ddm::Restore(std::string_view bytes) { return DetectorAccess::Restore<Ddm>(bytes); }
std::string Ddm::SaveState() const { return DetectorAccess::Save(*this); }
std::unique_ptr<StreamDetector> Ddm::Clone() const { return std::make_unique<Ddm>(*this); }

template <typename Archive, typename OptionsRef, typename Self>
void Ddm::Fields(Archive& archive, OptionsRef& options, Self& self) {
  archive(options.warm_up);
  archive(options.warning_level);
  archive(options.drift_level);
  archive(options.only_rates);
  archive(self.count_);
  archive(self.rate_);
  archive(self.has_best_);
  archive(self.best_rate_);
  archive(self.best_deviation_);
}

bool Ddm::Consistent() const {
  return count_ <= observations() && Accepts(rate_) && Accepts(best_rate_) && best_deviation_ >= 0;
}

void Ddm::Clear() {
  count_ = 0;
  rate_ = 0;
  has_best_ = false;
  best_rate_ = 0;
  best_deviation_ = 0;
}

StreamState Ddm::Step(double value) {
  ++count_;
  const auto n = static_cast<double>(count_);
  rate_ += (value - rate_) / n;
  if (count_ <= options_.warm_up) return StreamState::kStable;
  const double deviation = std::sqrt(BernoulliVariance(rate_) / n);
  if (!has_best_ || rate_ + deviation <= best_rate_ + best_deviation_) {
    has_best_ = true;
    best_rate_ = rate_;
    best_deviation_ = deviation;
  }
  if (rate_ + deviation > best_rate_ + options_.drift_level * best_deviation_) {
    return StreamState::kDrift;
  }
  if (rate_ + deviation > best_rate_ + options_.warning_level * best_deviation_) {
    return StreamState::kWarning;
  }
  return StreamState::kStable;
}

Eddm::Eddm(const EddmOptions& options) : options_(options) { TakeErrors(); }

Result<void> Eddm::Check(const EddmOptions& options) {
  if (!(options.drift_share > 0 && options.drift_share <= options.warning_share &&
        options.warning_share <= 1)) {
    return Error{ErrorCode::kInvalidArgument, "eddm: shares must be 0 < drift <= warning <= 1"};
  }
  return {};
}

Result<Eddm> Eddm::Make(const EddmOptions& options) { return DetectorAccess::Make<Eddm>(options); }
Result<Eddm> Eddm::Restore(std::string_view bytes) { return DetectorAccess::Restore<Eddm>(bytes); }
std::string Eddm::SaveState() const { return DetectorAccess::Save(*this); }
std::unique_ptr<StreamDetector> Eddm::Clone() const { return std::make_unique<Eddm>(*this); }

template <typename Archive, typename OptionsRef, typename Self>
void Eddm::Fields(Archive& archive, OptionsRef& options, Self& self) {
  archive(options.warm_up);
  archive(options.warning_share);
  archive(options.drift_share);
  archive(self.count_);
  archive(self.last_error_);
  archive(self.errors_);
  archive(self.mean_distance_);
  archive(self.squares_);
  archive(self.largest_);
  archive(self.warned_);
}

bool Eddm::Consistent() const {
  return count_ <= observations() && last_error_ <= count_ && errors_ <= last_error_ &&
         mean_distance_ >= 0 && mean_distance_ <= static_cast<double>(count_) && squares_ >= 0 &&
         (largest_ == -1 || largest_ > 0);
}

void Eddm::Clear() {
  count_ = 0;
  last_error_ = 0;
  errors_ = 0;
  mean_distance_ = 0;
  squares_ = 0;
  largest_ = -1;
  warned_ = false;
}

StreamState Eddm::Step(double value) {
  ++count_;
  if (value == 0) return warned_ ? StreamState::kWarning : StreamState::kStable;
  ++errors_;
  const auto distance = static_cast<double>(count_ - last_error_);
  const auto errors = static_cast<double>(errors_);
  last_error_ = count_;
  const double before = distance - mean_distance_;
  mean_distance_ += before / errors;
  squares_ += before * (distance - mean_distance_);
  if (count_ <= options_.warm_up) return StreamState::kStable;

  const double deviation = errors_ > 1 ? std::sqrt(squares_ / (errors - 1)) : 0;
  const double reach = mean_distance_ + 2 * deviation;
  if (reach > largest_) {
    largest_ = reach;
    warned_ = false;
  } else if (errors_ > options_.warm_up) {
    if (reach < options_.drift_share * largest_) return StreamState::kDrift;
    warned_ = reach < options_.warning_share * largest_;
  }
  return warned_ ? StreamState::kWarning : StreamState::kStable;
}

EwmaChart::EwmaChart(const EwmaOptions& options) : options_(options) {
  if (options.only_rates) TakeRates();
}

Result<void> EwmaChart::Check(const EwmaOptions& options) {
  if (!(options.weight > 0 && options.weight < 1)) {
    return Error{ErrorCode::kInvalidArgument, "ewma: weight must be in (0, 1)"};
  }
  if (!(options.control_limit >= 0 && std::isfinite(options.control_limit))) {
    return Error{ErrorCode::kInvalidArgument, "ewma: control limit must be at least 0"};
  }
  if (options.control_limit == 0 && options.weight != 0.2) {
    return Error{ErrorCode::kInvalidArgument,
                 "ewma: the published control limit is for weight 0.2; give one for this weight"};
  }
  if (!(options.warning_share > 0 && options.warning_share <= 1)) {
    return Error{ErrorCode::kInvalidArgument, "ewma: warning share must be in (0, 1]"};
  }
  return {};
}

Result<EwmaChart> EwmaChart::Make(const EwmaOptions& options) {
  return DetectorAccess::Make<EwmaChart>(options);
}
Result<EwmaChart> EwmaChart::Restore(std::string_view bytes) {
  return DetectorAccess::Restore<EwmaChart>(bytes);
}
std::string EwmaChart::SaveState() const { return DetectorAccess::Save(*this); }
std::unique_ptr<StreamDetector> EwmaChart::Clone() const {
  return std::make_unique<EwmaChart>(*this);
}

template <typename Archive, typename OptionsRef, typename Self>
void EwmaChart::Fields(Archive& archive, OptionsRef& options, Self& self) {
  archive(options.weight);
  archive(options.warm_up);
  archive(options.control_limit);
  archive(options.warning_share);
  archive(options.only_rates);
  archive(self.count_);
  archive(self.sum_);
  archive(self.average_);
  archive(self.forgotten_);
}

bool EwmaChart::Consistent() const {
  const double rate = count_ > 0 ? sum_ / static_cast<double>(count_) : sum_;
  return count_ <= observations() && Accepts(rate) && Accepts(average_) && forgotten_ >= 0 &&
         forgotten_ <= 1;
}

void EwmaChart::Clear() {
  count_ = 0;
  sum_ = 0;
  average_ = 0;
  forgotten_ = 1;
}

StreamState EwmaChart::Step(double value) {
  ++count_;
  sum_ += value;
  average_ += options_.weight * (value - average_);
  forgotten_ *= (1 - options_.weight) * (1 - options_.weight);
  if (count_ < options_.warm_up) return StreamState::kStable;
  const double rate = sum_ / static_cast<double>(count_);
  const double deviation = std::sqrt(BernoulliVariance(rate) * options_.weight * (1 - forgotten_) /
                                     (2 - options_.weight));
  const double limit = options_.control_limit > 0 ? options_.control_limit : LimitFor400(rate);
  if (average_ > rate + limit * deviation) return StreamState::kDrift;
  if (average_ > rate + options_.warning_share * limit * deviation) return StreamState::kWarning;
  return StreamState::kStable;
}

}  // namespace tidewheel::stats
