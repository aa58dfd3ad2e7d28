#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/stats/stream_detector.h"

namespace tidewheel::stats {

struct AdwinOptions {
  double delta = 0.002;            // Confidence of a cut, in (0, 1); smaller is quieter.
  std::uint32_t check_every = 32;  // Values between two scans.
  std::uint32_t max_buckets = 5;   // Of one size before the two oldest are merged; 1 to 64.
  std::uint32_t min_side = 5;      // Least values on each side of a cut.
  std::uint32_t grace = 10;        // No scan before the window holds more values than this.
  bool reset_after_drift = true;   // Else the window goes on with what is left of it.
};

/// ADWIN (Bifet, Gavalda 2007): a window that grows while its mean stands still and loses its
/// oldest part when some cut shows two means further apart than
/// sqrt(2 m v ln(2 ln n / delta)) + (2/3) m ln(2 ln n / delta), with v the window's variance and
/// m = 1/(n0 - min_side + 1) + 1/(n1 - min_side + 1). The window is an exponential histogram; a
/// scan visits every bucket. Takes any numbers. O(1) amortised per value, O(log n) per scan, memory
/// O(max_buckets log n).
class Adwin final : public StreamDetector {
 public:
  using Options = AdwinOptions;
  static constexpr DetectorKind kKind = DetectorKind::kAdwin;

  /// kInvalidArgument: an option outside its range.
  static Result<Adwin> Make(const AdwinOptions& options = {});
  static Result<Adwin> Restore(std::string_view bytes);

  DetectorKind kind() const override { return kKind; }
  std::unique_ptr<StreamDetector> Clone() const override;
  std::string SaveState() const override;

  /// Values in the window, their mean and variance (0 where there is none). After a drift: of what
  /// was kept, the stream after the change.
  std::uint64_t width() const { return width_; }
  double mean() const { return width_ > 0 ? total_ / static_cast<double>(width_) : 0; }
  double variance() const { return width_ > 0 ? squares_ / static_cast<double>(width_) : 0; }

 private:
  friend struct DetectorAccess;
  struct Bucket {
    double total = 0;
    double squares = 0;  // Of the distances to the bucket's own mean.
  };
  /// The buckets of 2^r values, for row r.
  struct Row {
    std::uint32_t first = 0;  // Place of the oldest.
    std::uint32_t count = 0;
  };

  explicit Adwin(const AdwinOptions& options);
  static Result<void> Check(const AdwinOptions& options);
  template <typename Archive, typename OptionsRef, typename Self>
  static void Fields(Archive& archive, OptionsRef& options, Self& self);

  StreamState Step(double value) override;
  void Clear() override;
  bool Consistent() const;
  std::size_t Places() const { return mask_ + 1; }
  Bucket& At(std::size_t row, std::uint32_t age) {
    return buckets_[row * Places() + ((rows_[row].first + age) & mask_)];
  }
  const Bucket& At(std::size_t row, std::uint32_t age) const {
    return buckets_[row * Places() + ((rows_[row].first + age) & mask_)];
  }
  void AddRow();
  void SetBuckets(const std::vector<double>& counts, const std::vector<double>& totals,
                  const std::vector<double>& squares);
  void MergeFullRows();
  bool FindCut() const;
  void DropOldest();

  AdwinOptions options_;
  std::size_t mask_ = 0;  // Places in a row, a power of two above max_buckets, less one.
  std::vector<Row> rows_;
  std::vector<Bucket> buckets_;  // Places() a row, each a ring.
  std::uint64_t width_ = 0;
  std::uint32_t until_check_ = 0;
  double total_ = 0;
  double squares_ = 0;
};

}  // namespace tidewheel::stats
