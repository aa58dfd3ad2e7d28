#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// What a detector says after a value.
enum class StreamState : std::uint8_t { kStable, kWarning, kDrift };

enum class DetectorKind : std::uint8_t {
  kAdwin = 1,
  kDdm = 2,
  kEddm = 3,
  kHddmA = 4,
  kHddmW = 5,
  kPageHinkley = 6,
  kKswin = 7,
  kCusum = 8,
  kEwma = 9,
};

/// "adwin", "ddm", "eddm", "hddm_a", "hddm_w", "page_hinkley", "kswin", "cusum", "ewma".
std::string_view Name(DetectorKind kind);
/// kNotFound: no detector of that name; the message lists those there are.
Result<DetectorKind> DetectorNamed(std::string_view name);

/// Which changes of the mean a detector looks for.
enum class DriftSides : std::uint8_t { kUp, kDown, kBoth };

/// Watches a stream of numbers for a change; for error streams 1 is an error and 0 is none. Bounded
/// memory, cheap per value, no clock and no locks: one per stream, used by one thread at a time.
/// Copyable; SaveState() is all there is to know, so that a service goes on where it ended.
class StreamDetector {
 public:
  virtual ~StreamDetector() = default;

  /// Takes the next value and says what it means. After kDrift the next value starts anew, so that
  /// the accessors of a detector still describe the drift in between. kInvalidArgument: not a
  /// number, infinite, beyond +-1e90, or outside what this detector is defined for (its options
  /// tell); the value then counts as not seen.
  Result<StreamState> Update(double value) {
    if (!Accepts(value)) return Refusal(value);
    if (state_ == StreamState::kDrift && resets_) Reset();
    ++observations_;
    state_ = Step(value);
    return state_;
  }

  /// Forgets what was seen; only observations() goes on.
  void Reset() {
    state_ = StreamState::kStable;
    Clear();
  }

  /// After the last value.
  StreamState state() const { return state_; }
  /// Values taken since this detector was made, resets or not.
  std::uint64_t observations() const { return observations_; }

  virtual DetectorKind kind() const = 0;
  virtual std::unique_ptr<StreamDetector> Clone() const = 0;
  /// Options and state as bytes with a version and a check sum, the same on every machine. What
  /// RestoreDetector() makes of them goes on exactly as this one would.
  virtual std::string SaveState() const = 0;

 protected:
  StreamDetector() = default;
  StreamDetector(const StreamDetector&) = default;
  StreamDetector& operator=(const StreamDetector&) = default;

  bool Accepts(double value) const {
    return value >= low_ && value <= high_ && (!binary_ || value == 0 || value == 1);
  }
  /// Restricts what Update() takes to [0, 1], or to 0 and 1.
  void TakeRates() {
    low_ = 0;
    high_ = 1;
  }
  void TakeErrors() {
    TakeRates();
    binary_ = true;
  }
  /// Leaves the state alone after a drift.
  void KeepAfterDrift() { resets_ = false; }

 private:
  friend struct DetectorAccess;

  virtual StreamState Step(double value) = 0;
  virtual void Clear() = 0;
  Error Refusal(double value) const;

  double low_ = -1e90;  // Squares and sums of what is taken stay finite.
  double high_ = 1e90;
  bool binary_ = false;
  bool resets_ = true;
  StreamState state_ = StreamState::kStable;
  std::uint64_t observations_ = 0;
};

/// A detector with its default options. Never fails.
std::unique_ptr<StreamDetector> MakeDetector(DetectorKind kind);

/// What SaveState() was called on, from its bytes. kInvalidArgument: not such bytes, cut short or
/// changed, of a version this release does not know, or of a state that no stream leads to.
Result<std::unique_ptr<StreamDetector>> RestoreDetector(std::string_view bytes);

/// Where the state of a stream changed to warning or drift; index counts values from 0.
struct StreamEvent {
  std::uint64_t index = 0;
  StreamState state = StreamState::kStable;

  friend bool operator==(const StreamEvent&, const StreamEvent&) = default;
};

/// Feeds all values and tells each drift, and each value that turned a stable stream to warning.
/// Errors as Update(), naming the row; those before it have been taken. Memory for the events.
Result<std::vector<StreamEvent>> FindEvents(StreamDetector& detector,
                                            std::span<const double> values);

}  // namespace tidewheel::stats
