#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tidewheel/stats/stream_detector.h"

namespace tidewheel::stats {

struct PageHinkleyOptions {
  std::uint32_t warm_up = 30;  // Says nothing before this many values.
  double slack = 0.005;        // Deviation from the mean that counts as none, in the values' unit.
  double threshold = 50;       // Of the accumulated deviation, in the values' unit; > 0.
  double fading = 0.9999;      // Of the accumulated deviation per value, in (0, 1].
  DriftSides sides = DriftSides::kBoth;
};

/// The Page-Hinkley test (Page 1954, Hinkley 1971): deviations from the running mean accumulate;
/// alarms when the sum stands further than the threshold from its least (or largest) value. Takes
/// any numbers. O(1) per value and in memory.
class PageHinkley final : public StreamDetector {
 public:
  using Options = PageHinkleyOptions;
  static constexpr DetectorKind kKind = DetectorKind::kPageHinkley;

  /// kInvalidArgument: an option outside its range.
  static Result<PageHinkley> Make(const PageHinkleyOptions& options = {});
  static Result<PageHinkley> Restore(std::string_view bytes);

  DetectorKind kind() const override { return kKind; }
  std::unique_ptr<StreamDetector> Clone() const override;
  std::string SaveState() const override;

 private:
  friend struct DetectorAccess;
  explicit PageHinkley(const PageHinkleyOptions& options);
  static Result<void> Check(const PageHinkleyOptions& options);
  template <typename Archive, typename OptionsRef, typename Self>
  static void Fields(Archive& archive, OptionsRef& options, Self& self);
  StreamState Step(double value) override;
  void Clear() override;
  bool Consistent() const;

  PageHinkleyOptions options_;
  std::uint64_t count_ = 0;
  double mean_ = 0;
  double up_ = 0;
  double least_up_ = 0;
  double down_ = 0;
  double largest_down_ = 0;
};

struct CusumOptions {
  std::uint32_t warm_up = 30;  // Says nothing before this many values.
  double slack = 0.005;        // Deviation from the mean that counts as none, in the values' unit.
  double threshold = 50;       // Of the accumulated deviation, in the values' unit; > 0.
  DriftSides sides = DriftSides::kUp;
};

/// The cumulative sum chart (Page 1954): deviations from the running mean beyond the slack
/// accumulate, never below zero. Takes any numbers. O(1) per value and in memory.
class Cusum final : public StreamDetector {
 public:
  using Options = CusumOptions;
  static constexpr DetectorKind kKind = DetectorKind::kCusum;

  /// kInvalidArgument: an option outside its range.
  static Result<Cusum> Make(const CusumOptions& options = {});
  static Result<Cusum> Restore(std::string_view bytes);

  DetectorKind kind() const override { return kKind; }
  std::unique_ptr<StreamDetector> Clone() const override;
  std::string SaveState() const override;

 private:
  friend struct DetectorAccess;
  explicit Cusum(const CusumOptions& options);
  static Result<void> Check(const CusumOptions& options);
  template <typename Archive, typename OptionsRef, typename Self>
  static void Fields(Archive& archive, OptionsRef& options, Self& self);
  StreamState Step(double value) override;
  void Clear() override;
  bool Consistent() const;

  CusumOptions options_;
  std::uint64_t count_ = 0;
  double mean_ = 0;
  double up_ = 0;
  double down_ = 0;
};

}  // namespace tidewheel::stats
