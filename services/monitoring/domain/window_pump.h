#pragma once

#include <memory>

#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/observer.h"
#include "tidewheel/monitoring/domain/window_rows.h"
#include "tidewheel/monitoring/domain/window_store.h"

namespace tidewheel::monitoring {

/// Where a model's reference profile is. Thread-safe.
class ProfileSource {
 public:
  virtual ~ProfileSource() = default;
  /// Null: the package has none. kUnavailable: cannot be said now.
  virtual Result<std::shared_ptr<const Profile>> ProfileOf(const ModelKey& model) = 0;
};

/// Puts the rows' features into the profile's order; names that the profile lacks become
/// ObservedRow::unknown_features.
void AlignFeatures(const Profile& profile, WindowRows* window);

struct PumpCounters {
  Counter& windows = Counter::None();  // Told to the listener.
  Counter& outcomes = Counter::None();
};

/// Moves stored predictions on: into windows, and windows and outcomes to whoever judges them.
class WindowPump {
 public:
  /// `listener` may be null: then nobody judges.
  WindowPump(WindowStore& store, PolicySource& policies, ProfileSource& profiles,
             WindowListener* listener, PumpCounters counters)
      : store_(store),
        policies_(policies),
        profiles_(profiles),
        listener_(listener),
        counters_(counters) {}

  /// Whether anything was done. Any number of threads and processes may call it.
  Result<bool> CutOnce();
  Result<bool> TellOnce();

 private:
  Result<void> TellWindow(WindowRows window);
  Result<void> TellOutcomes(const WindowRows& rows, std::uint64_t first_number);

  WindowStore& store_;
  PolicySource& policies_;
  ProfileSource& profiles_;
  WindowListener* const listener_;
  const PumpCounters counters_;
};

}  // namespace tidewheel::monitoring
