#pragma once

#include <csignal>

namespace tidewheel {

/// Blocks SIGINT and SIGTERM for this thread and all threads it starts later, so that Wait() takes
/// them. Make it first in main. SIGPIPE is ignored from here on.
class ShutdownSignal {
 public:
  ShutdownSignal();

  /// Returns the signal's number.
  int Wait() const;

 private:
  sigset_t signals_;
};

}  // namespace tidewheel
