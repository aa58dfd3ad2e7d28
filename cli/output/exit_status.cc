#include "tidewheel/cli/output/exit_status.h"

namespace tidewheel::cli {

ExitStatus ExitStatusOf(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kDeadlineExceeded
             ? ExitStatus::kUnavailable
             : ExitStatus::kFailed;
}

}  // namespace tidewheel::cli
