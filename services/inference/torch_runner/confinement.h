#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::inference {

struct Confinement {
  /// Private memory that the process may take beyond what it has now; 0: any.
  std::size_t memory_bytes = 0;
  std::filesystem::path scratch{};  // The only folder that it may write to; empty: none.
  bool cuda = false;                // The driver wants device files, shared memory and more.
};

/// Gives up what a foreign model has no use for, for good and for every thread that this one
/// starts: no core dump; no network, no other program, no process of its own (seccomp); no file but
/// the libraries and `scratch` (Landlock). Call it before other threads run. Gives the guards that
/// this machine does not have. kFailedPrecondition: a limit cannot be set.
Result<std::vector<std::string>> Confine(const Confinement& confinement);

}  // namespace tidewheel::inference
