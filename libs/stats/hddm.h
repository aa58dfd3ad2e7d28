#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tidewheel/stats/stream_detector.h"

namespace tidewheel::stats {

struct HddmAOptions {
  double drift_confidence = 0.001;  // 0 < drift <= warning < 1; smaller is quieter.
  double warning_confidence = 0.005;
  DriftSides sides = DriftSides::kUp;
  bool only_rates = true;  // Update() refuses what is not in [0, 1]; the bound ends there.
};

/// HDDM-A (Frias-Blanco et al. 2015): Hoeffding's bound on the difference of two means, before and
/// after the cut at which the mean so far was most surely small (or large). For abrupt changes.
/// O(1) per value and in memory.
class HddmA final : public StreamDetector {
 public:
  using Options = HddmAOptions;
  static constexpr DetectorKind kKind = DetectorKind::kHddmA;

  /// kInvalidArgument: confidences not 0 < drift <= warning < 1.
  static Result<HddmA> Make(const HddmAOptions& options = {});
  static Result<HddmA> Restore(std::string_view bytes);

  DetectorKind kind() const override { return kKind; }
  std::unique_ptr<StreamDetector> Clone() const override;
  std::string SaveState() const override;

 private:
  friend struct DetectorAccess;
  struct Mean {
    std::uint64_t count = 0;
    double sum = 0;
    double value() const { return sum / static_cast<double>(count); }
  };

  explicit HddmA(const HddmAOptions& options);
  static Result<void> Check(const HddmAOptions& options);
  template <typename Archive, typename OptionsRef, typename Self>
  static void Fields(Archive& archive, OptionsRef& options, Self& self);
  StreamState Step(double value) override;
  void Clear() override;
  bool Consistent() const;
  /// Whether the whole mean is above (direction 1) or below (-1) that at the cut.
  bool Moved(const Mean& cut, double direction, double log_confidence) const;

  HddmAOptions options_;
  double log_drift_ = 0;  // ln(1 / confidence).
  double log_warning_ = 0;
  Mean all_;
  Mean lowest_;
  Mean highest_;
};

struct HddmWOptions {
  double drift_confidence = 0.001;  // 0 < drift <= warning < 1; smaller is quieter.
  double warning_confidence = 0.005;
  double weight = 0.05;  // Of the newest value, in (0, 1).
  DriftSides sides = DriftSides::kUp;
  bool only_rates = true;  // Update() refuses what is not in [0, 1]; the bound ends there.
};

/// HDDM-W (Frias-Blanco et al. 2015): McDiarmid's bound on the difference of two exponentially
/// weighted means, up to and after the cut. For gradual changes. O(1) per value and in memory.
class HddmW final : public StreamDetector {
 public:
  using Options = HddmWOptions;
  static constexpr DetectorKind kKind = DetectorKind::kHddmW;

  /// kInvalidArgument: confidences not 0 < drift <= warning < 1, or a weight not in (0, 1).
  static Result<HddmW> Make(const HddmWOptions& options = {});
  static Result<HddmW> Restore(std::string_view bytes);

  DetectorKind kind() const override { return kKind; }
  std::unique_ptr<StreamDetector> Clone() const override;
  std::string SaveState() const override;

 private:
  friend struct DetectorAccess;
  /// A weighted mean and the sum of its squared weights, which McDiarmid's bound needs.
  struct Average {
    bool started = false;
    double value = 0;
    double weights = 1;
  };
  struct Cut {
    bool found = false;
    double bound = 0;
    Average before;
    Average after;
  };

  explicit HddmW(const HddmWOptions& options);
  static Result<void> Check(const HddmWOptions& options);
  template <typename Archive, typename OptionsRef, typename Self>
  static void Fields(Archive& archive, OptionsRef& options, Self& self);
  StreamState Step(double value) override;
  void Clear() override;
  bool Consistent() const;
  void Add(Average& average, double value) const;
  /// Moves the cut to here when the mean was never more surely small (direction 1) or large (-1).
  void Follow(Cut& cut, double direction, double value) const;
  bool Moved(const Cut& cut, double direction, double log_confidence) const;

  HddmWOptions options_;
  double log_drift_ = 0;
  double log_warning_ = 0;
  Average all_;
  Cut up_;
  Cut down_;
};

}  // namespace tidewheel::stats
