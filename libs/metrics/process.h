#pragma once

namespace tidewheel::metrics {

/// What the kernel says about this process; a part that cannot be read is 0.
struct ProcessUsage {
  double resident_bytes = 0;
  double virtual_bytes = 0;
  double cpu_seconds = 0;    // User and system, since the start.
  double start_seconds = 0;  // Unix time.
  double threads = 0;
  double open_files = 0;
  double max_files = 0;
};

ProcessUsage ReadProcessUsage();

}  // namespace tidewheel::metrics
