#include "tidewheel/stats/kswin.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/detector_state.h"

namespace tidewheel::stats {

double EqualSizesKolmogorovSmirnovTail(std::uint64_t distance, std::uint64_t size) {
  if (distance == 0) return 1;
  // 2 sum_i (-1)^(i-1) C(2n, n - i k) / C(2n, n), by reflecting paths at both borders.
  const auto n = static_cast<double>(size);
  const double middle = 2 * std::lgamma(n + 1);
  double tail = 0;
  double sign = 1;
  for (std::uint64_t reach = distance; reach <= size; reach += distance) {
    const auto k = static_cast<double>(reach);
    tail += sign * std::exp(middle - std::lgamma(n - k + 1) - std::lgamma(n + k + 1));
    sign = -sign;
  }
  return std::clamp(2 * tail, 0.0, 1.0);
}

Kswin::Kswin(const KswinOptions& options)
    : options_(options),
      critical_(1),
      order_(options.window - options.recent),
      drawn_(options.recent),
      newest_(options.recent) {
  KeepAfterDrift();  // Step() itself keeps the newest.
  window_.reserve(options.window);
  while (EqualSizesKolmogorovSmirnovTail(critical_, options.recent) > options.alpha) ++critical_;
}

Result<void> Kswin::Check(const KswinOptions& options) {
  if (options.recent < 2 || options.recent > options.window / 2 || options.window > 1'000'000) {
    return Error{
        ErrorCode::kInvalidArgument,
        "kswin: recent must be at least 2, window at least twice that and at most 1000000"};
  }
  const double least = EqualSizesKolmogorovSmirnovTail(options.recent, options.recent);
  if (!(options.alpha >= least && options.alpha < 1)) {
    return Error{ErrorCode::kInvalidArgument,
                 "kswin: alpha must be below 1 and at least the least p-value of two samples of " +
                     std::to_string(options.recent) + " values"};
  }
  return {};
}

Result<Kswin> Kswin::Make(const KswinOptions& options) {
  return DetectorAccess::Make<Kswin>(options);
}
Result<Kswin> Kswin::Restore(std::string_view bytes) {
  return DetectorAccess::Restore<Kswin>(bytes);
}
std::string Kswin::SaveState() const { return DetectorAccess::Save(*this); }
std::unique_ptr<StreamDetector> Kswin::Clone() const { return std::make_unique<Kswin>(*this); }

template <typename Archive, typename OptionsRef, typename Self>
void Kswin::Fields(Archive& archive, OptionsRef& options, Self& self) {
  archive(options.alpha);
  archive(options.window);
  archive(options.recent);
  archive(options.seed);
  archive(self.window_);
  archive(self.first_);
  archive(self.draws_);
  archive(self.distance_);
}

bool Kswin::Consistent() const {
  return window_.size() <= options_.window && window_.size() <= observations() &&
         (first_ == 0 || (window_.size() == options_.window && first_ < options_.window)) &&
         draws_ <= observations() && distance_ <= options_.recent &&
         std::all_of(window_.begin(), window_.end(), [&](double value) { return Accepts(value); });
}

void Kswin::Clear() {
  window_.clear();
  first_ = 0;
  distance_ = 0;
}

double Kswin::p_value() const {
  return EqualSizesKolmogorovSmirnovTail(distance_, options_.recent);
}

StreamState Kswin::Step(double value) {
  const std::size_t size = options_.window;
  if (window_.size() < size) {
    window_.push_back(value);
  } else {
    window_[first_] = value;
    first_ = first_ + 1 == size ? 0 : first_ + 1;
  }
  if (window_.size() < size) return StreamState::kStable;

  const auto at = [&](std::size_t age) {
    const std::size_t place = first_ + age;
    return window_[place < size ? place : place - size];
  };
  const std::size_t recent = options_.recent;
  const std::size_t older = size - recent;
  // Every draw is numbered, so that a restored detector draws what this one would.
  Random random(options_.seed + draws_++ * 0xD1342543DE82EF95ULL);
  std::iota(order_.begin(), order_.end(), 0U);
  for (std::size_t i = 0; i < recent; ++i) {
    std::swap(order_[i], order_[i + random.Below(older - i)]);
    drawn_[i] = at(order_[i]);
    newest_[i] = at(older + i);
  }
  std::sort(drawn_.begin(), drawn_.end());
  std::sort(newest_.begin(), newest_.end());
  std::size_t a = 0;
  std::size_t b = 0;
  distance_ = 0;
  while (a < recent && b < recent) {
    const double point = std::min(drawn_[a], newest_[b]);
    while (a < recent && drawn_[a] == point) ++a;
    while (b < recent && newest_[b] == point) ++b;
    distance_ = std::max<std::uint64_t>(distance_, a > b ? a - b : b - a);
  }
  if (distance_ < critical_) return StreamState::kStable;
  for (std::size_t i = 0; i < recent; ++i) newest_[i] = at(older + i);
  window_.assign(newest_.begin(), newest_.end());
  first_ = 0;
  return StreamState::kDrift;
}

}  // namespace tidewheel::stats
