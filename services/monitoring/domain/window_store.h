#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/window_rows.h"

namespace tidewheel::monitoring {

/// How stored predictions become windows. Every step is one transaction that finds its work in the
/// database, so copies of the service share it and one that dies leaves nothing half done.
/// Thread-safe.
class WindowStore {
 public:
  virtual ~WindowStore() = default;

  /// Closes the windows that the watermark has passed and shows the open ones. Returns how many
  /// streams it worked on.
  virtual Result<std::size_t> Cut() = 0;
  /// Numbers outcomes that the watermark has passed. Returns how many.
  virtual Result<std::size_t> NumberOutcomes() = 0;

  struct Teller {
    std::function<Result<void>(WindowRows window)> window;
    std::function<Result<void>(const WindowRows& rows, std::uint64_t first_number)> outcomes;
  };
  /// Tells of closed windows and numbered outcomes, of each model to one teller at a time, and
  /// remembers what was told without an error. Features are in the order of the model's dictionary.
  /// Returns how many windows and outcomes.
  virtual Result<std::size_t> Tell(const Teller& teller) = 0;
};

}  // namespace tidewheel::monitoring
