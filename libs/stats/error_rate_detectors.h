#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "tidewheel/stats/stream_detector.h"

namespace tidewheel::stats {

struct DdmOptions {
  std::uint32_t warm_up = 30;  // Says nothing before more values than this.
  double warning_level = 2;    // Standard deviations above the best seen; 0 < warning <= drift.
  double drift_level = 3;
  bool only_rates = true;  // Update() refuses what is not in [0, 1]; the theory ends there.
};

/// DDM (Gama, Medas, Castillo, Rodrigues 2004): the error rate p since the last reset with
/// s = sqrt(p(1 - p)/n) against the least p + s seen. Slow on gradual change, and a stream without
/// any error alarms at its first one, as its best rate is 0 +- 0. O(1) per value and in memory.
class Ddm final : public StreamDetector {
 public:
  using Options = DdmOptions;
  static constexpr DetectorKind kKind = DetectorKind::kDdm;

  /// kInvalidArgument: levels not 0 < warning <= drift or not finite.
  static Result<Ddm> Make(const DdmOptions& options = {});
  static Result<Ddm> Restore(std::string_view bytes);

  DetectorKind kind() const override { return kKind; }
  std::unique_ptr<StreamDetector> Clone() const override;
  std::string SaveState() const override;

 private:
  friend struct DetectorAccess;
  explicit Ddm(const DdmOptions& options);
  static Result<void> Check(const DdmOptions& options);
  template <typename Archive, typename OptionsRef, typename Self>
  static void Fields(Archive& archive, OptionsRef& options, Self& self);
  StreamState Step(double value) override;
  void Clear() override;
  bool Consistent() const;

  DdmOptions options_;
  std::uint64_t count_ = 0;
  double rate_ = 0;
  bool has_best_ = false;
  double best_rate_ = 0;
  double best_deviation_ = 0;
};

struct EddmOptions {
  std::uint32_t warm_up = 30;   // Values, and errors, before it speaks.
  double warning_share = 0.95;  // Of the largest spacing seen; 0 < drift <= warning <= 1.
  double drift_share = 0.90;
};

/// EDDM (Baena-Garcia et al. 2006): the distance between errors, mean plus twice its (n - 1)
/// standard deviation, as a share of the largest such value. Takes 0 and 1 only. With its default
/// shares it raises a false alarm every few hundred values: calibrate it (stream_calibration.h) or
/// leave it off. O(1) per value and in memory.
class Eddm final : public StreamDetector {
 public:
  using Options = EddmOptions;
  static constexpr DetectorKind kKind = DetectorKind::kEddm;

  /// kInvalidArgument: shares not 0 < drift <= warning <= 1.
  static Result<Eddm> Make(const EddmOptions& options = {});
  static Result<Eddm> Restore(std::string_view bytes);

  DetectorKind kind() const override { return kKind; }
  std::unique_ptr<StreamDetector> Clone() const override;
  std::string SaveState() const override;

 private:
  friend struct DetectorAccess;
  explicit Eddm(const EddmOptions& options);
  static Result<void> Check(const EddmOptions& options);
  template <typename Archive, typename OptionsRef, typename Self>
  static void Fields(Archive& archive, OptionsRef& options, Self& self);
  StreamState Step(double value) override;
  void Clear() override;
  bool Consistent() const;

  EddmOptions options_;
  std::uint64_t count_ = 0;
  std::uint64_t last_error_ = 0;
  std::uint64_t errors_ = 0;
  double mean_distance_ = 0;
  double squares_ = 0;
  double largest_ = -1;
  bool warned_ = false;  // Stands until an error says otherwise.
};

struct EwmaOptions {
  double weight = 0.2;         // Of the newest value, in (0, 1).
  std::uint32_t warm_up = 30;  // Says nothing before this many values.
  /// Standard deviations of the moving average above the mean error rate. 0: the polynomial in the
  /// error rate that Ross et al. give for weight 0.2 and a mean of 400 values between false alarms,
  /// held at its value for a rate of 1/2 above that; only with weight 0.2.
  double control_limit = 0;
  double warning_share = 0.5;  // Of the control limit, in (0, 1].
  bool only_rates = true;      // Update() refuses what is not in [0, 1].
};

/// ECDD, an exponentially weighted moving average chart of an error stream (Ross, Adams, Tasoulis,
/// Hand 2012): alarms when the moving average leaves the mean since the last reset upwards. O(1)
/// per value and in memory.
class EwmaChart final : public StreamDetector {
 public:
  using Options = EwmaOptions;
  static constexpr DetectorKind kKind = DetectorKind::kEwma;

  /// kInvalidArgument: an option outside its range.
  static Result<EwmaChart> Make(const EwmaOptions& options = {});
  static Result<EwmaChart> Restore(std::string_view bytes);

  DetectorKind kind() const override { return kKind; }
  std::unique_ptr<StreamDetector> Clone() const override;
  std::string SaveState() const override;

 private:
  friend struct DetectorAccess;
  explicit EwmaChart(const EwmaOptions& options);
  static Result<void> Check(const EwmaOptions& options);
  template <typename Archive, typename OptionsRef, typename Self>
  static void Fields(Archive& archive, OptionsRef& options, Self& self);
  StreamState Step(double value) override;
  void Clear() override;
  bool Consistent() const;

  EwmaOptions options_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
  double average_ = 0;
  double forgotten_ = 1;  // (1 - weight)^(2 count): how far the average is from its steady state.
};

}  // namespace tidewheel::stats
