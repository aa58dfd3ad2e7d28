#include "tidewheel/stats/cusum.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <string_view>

#include "tidewheel/stats/detector_state.h"

namespace tidewheel::stats {
namespace {

Result<void> CheckShared(std::string_view name, double slack, double threshold, DriftSides sides) {
  if (!(slack >= 0 && slack <= 1e90)) {
    return Error{ErrorCode::kInvalidArgument, std::string(name) + ": slack must be in [0, 1e90]"};
  }
  if (!(threshold > 0 && std::isfinite(threshold))) {
    return Error{ErrorCode::kInvalidArgument,
                 std::string(name) + ": threshold must be above 0 and finite"};
  }
  if (sides > DriftSides::kBoth) {
    return Error{ErrorCode::kInvalidArgument, std::string(name) + ": unknown sides"};
  }
  return {};
}

}  // namespace

PageHinkley::PageHinkley(const PageHinkleyOptions& options) : options_(options) {}

Result<void> PageHinkley::Check(const PageHinkleyOptions& options) {
  if (!(options.fading > 0 && options.fading <= 1)) {
    return Error{ErrorCode::kInvalidArgument, "page_hinkley: fading must be in (0, 1]"};
  }
  return CheckShared("page_hinkley", options.slack, options.threshold, options.sides);
}

Result<PageHinkley> PageHinkley::Make(const PageHinkleyOptions& options) {
  return DetectorAccess::Make<PageHinkley>(options);
}
Result<PageHinkley> PageHinkley::Restore(std::string_view bytes) {
  return DetectorAccess::Restore<PageHinkley>(bytes);
}
std::string PageHinkley::SaveState() const { return DetectorAccess::Save(*this); }
std::unique_ptr<StreamDetector> PageHinkley::Clone() const {
  return std::make_unique<PageHinkley>(*this);
}

template <typename Archive, typename OptionsRef, typename Self>
void PageHinkley::Fields(Archive& archive, OptionsRef& options, Self& self) {
  archive(options.warm_up);
  archive(options.slack);
  archive(options.threshold);
  archive(options.fading);
  archive(options.sides);
  archive(self.count_);
  archive(self.mean_);
  archive(self.up_);
  archive(self.least_up_);
  archive(self.down_);
  archive(self.largest_down_);
}

bool PageHinkley::Consistent() const {
  return count_ <= observations() && Accepts(mean_) && least_up_ <= up_ && down_ <= largest_down_;
}

void PageHinkley::Clear() {
  count_ = 0;
  mean_ = 0;
  up_ = least_up_ = 0;
  down_ = largest_down_ = 0;
}

StreamState PageHinkley::Step(double value) {
  ++count_;
  mean_ += (value - mean_) / static_cast<double>(count_);
  const double deviation = value - mean_;
  up_ = options_.fading * up_ + deviation - options_.slack;
  down_ = options_.fading * down_ + deviation + options_.slack;
  least_up_ = count_ == 1 ? up_ : std::min(least_up_, up_);
  largest_down_ = count_ == 1 ? down_ : std::max(largest_down_, down_);
  if (count_ < options_.warm_up) return StreamState::kStable;
  const bool rose = options_.sides != DriftSides::kDown && up_ - least_up_ > options_.threshold;
  const bool fell = options_.sides != DriftSides::kUp && largest_down_ - down_ > options_.threshold;
  return rose || fell ? StreamState::kDrift : StreamState::kStable;
}

Cusum::Cusum(const CusumOptions& options) : options_(options) {}

Result<void> Cusum::Check(const CusumOptions& options) {
  return CheckShared("cusum", options.slack, options.threshold, options.sides);
}

Result<Cusum> Cusum::Make(const CusumOptions& options) {
  return DetectorAccess::Make<Cusum>(options);
}
Result<Cusum> Cusum::Restore(std::string_view bytes) {
  return DetectorAccess::Restore<Cusum>(bytes);
}
std::string Cusum::SaveState() const { return DetectorAccess::Save(*this); }
std::unique_ptr<StreamDetector> Cusum::Clone() const { return std::make_unique<Cusum>(*this); }

template <typename Archive, typename OptionsRef, typename Self>
void Cusum::Fields(Archive& archive, OptionsRef& options, Self& self) {
  archive(options.warm_up);
  archive(options.slack);
  archive(options.threshold);
  archive(options.sides);
  archive(self.count_);
  archive(self.mean_);
  archive(self.up_);
  archive(self.down_);
}

bool Cusum::Consistent() const {
  return count_ <= observations() && Accepts(mean_) && up_ >= 0 && down_ >= 0;
}

void Cusum::Clear() {
  count_ = 0;
  mean_ = 0;
  up_ = 0;
  down_ = 0;
}

StreamState Cusum::Step(double value) {
  ++count_;
  mean_ += (value - mean_) / static_cast<double>(count_);
  up_ = std::max(0.0, up_ + value - mean_ - options_.slack);
  down_ = std::max(0.0, down_ + mean_ - value - options_.slack);
  if (count_ < options_.warm_up) return StreamState::kStable;
  const bool rose = options_.sides != DriftSides::kDown && up_ > options_.threshold;
  const bool fell = options_.sides != DriftSides::kUp && down_ > options_.threshold;
  return rose || fell ? StreamState::kDrift : StreamState::kStable;
}

}  // namespace tidewheel::stats
