#pragma once

#include "tidewheel/base/error.h"

namespace tidewheel::cli {

/// What the shell gets; part of the CLI's contract.
enum class ExitStatus : int {
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  /// Done, but not all of it: something was refused, or a goal (a gate) was missed.
  kPartly = 3,
  /// A service does not answer or does not serve.
  kUnavailable = 4,
};

/// UNAVAILABLE and DEADLINE_EXCEEDED are kUnavailable, everything else kFailed.
ExitStatus ExitStatusOf(const Error& error);

}  // namespace tidewheel::cli
