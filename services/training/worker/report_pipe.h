#pragma once

#include <chrono>

#include "tidewheel/training/v1/worker.pb.h"

namespace tidewheel::training {

/// Tells the service how far the worker is, a few times a second at most. The newest report counts,
/// so one that would come too soon is dropped, unless its phase is new or it is the last of its
/// phase. For one thread.
class ReportPipe {
 public:
  explicit ReportPipe(int descriptor) : descriptor_(descriptor) {}

  void Tell(const v1::Progress& progress);

 private:
  const int descriptor_;
  std::string phase_;
  std::chrono::steady_clock::time_point due_{};
};

}  // namespace tidewheel::training
