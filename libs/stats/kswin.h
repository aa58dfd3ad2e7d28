#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/stats/stream_detector.h"

namespace tidewheel::stats {

struct KswinOptions {
  /// Of each test; at least 2 / C(2 recent, recent), the least p-value there is, and below 1.
  double alpha = 0.005;
  std::uint32_t window = 100;  // Values kept; at least 2 recent, at most 1,000,000.
  std::uint32_t recent = 30;   // The newest, and how many of the older are drawn; at least 2.
  std::uint64_t seed = 1;      // Of the draw.
};

/// KSWIN (Raab, Heusinger, Schleif 2020): each value tests the newest against as many drawn without
/// replacement from the older ones, by the exact two-sided Kolmogorov-Smirnov test for equal sizes
/// (Gnedenko, Korolyuk 1951). After a drift the newest values stay. Takes any numbers; sees changes
/// of shape as well as of the mean. A test per value at level alpha alarms often: calibrate it.
/// O(recent log recent) per value, memory for the window.
class Kswin final : public StreamDetector {
 public:
  using Options = KswinOptions;
  static constexpr DetectorKind kKind = DetectorKind::kKswin;

  /// kInvalidArgument: an option outside its range.
  static Result<Kswin> Make(const KswinOptions& options = {});
  static Result<Kswin> Restore(std::string_view bytes);

  DetectorKind kind() const override { return kKind; }
  std::unique_ptr<StreamDetector> Clone() const override;
  std::string SaveState() const override;

  /// Of the last test; 1 before the first one.
  double p_value() const;

 private:
  friend struct DetectorAccess;
  explicit Kswin(const KswinOptions& options);
  static Result<void> Check(const KswinOptions& options);
  template <typename Archive, typename OptionsRef, typename Self>
  static void Fields(Archive& archive, OptionsRef& options, Self& self);
  StreamState Step(double value) override;
  void Clear() override;
  bool Consistent() const;

  KswinOptions options_;
  std::vector<double> window_;  // A ring; the oldest at first_ once it is full.
  std::uint64_t first_ = 0;
  std::uint64_t draws_ = 0;           // Tests made, which number the draws.
  std::uint64_t distance_ = 0;        // Of the last test: the statistic times recent.
  std::uint64_t critical_ = 0;        // The least distance with a p-value up to alpha.
  std::vector<std::uint32_t> order_;  // Scratch: indices of the older values, shuffled anew.
  std::vector<double> drawn_;         // Scratch.
  std::vector<double> newest_;        // Scratch.
};

/// P(D >= distance / size) of the two-sided two-sample Kolmogorov-Smirnov statistic D of two
/// samples of `size` values each from one continuous distribution; exact, O(size / distance).
double EqualSizesKolmogorovSmirnovTail(std::uint64_t distance, std::uint64_t size);

}  // namespace tidewheel::stats
