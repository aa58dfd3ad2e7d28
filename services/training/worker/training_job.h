#pragma once

#include <filesystem>
#include <stop_token>

#include "tidewheel/base/result.h"
#include "tidewheel/training/v1/worker.pb.h"
#include "tidewheel/training/worker/report_pipe.h"

namespace tidewheel::training {

/// One run from its items to its package: prepares the data, trains, evaluates on validation and
/// test samples, writes predictions and package into `folder`. The result is not written yet. Goes
/// on from a checkpoint of the same job in `folder`, and keeps one there.
/// kCancelled: `stop`.
Result<v1::WorkerResult> RunJob(const v1::WorkerJob& job, const std::filesystem::path& folder,
                                ReportPipe& reports, const std::stop_token& stop);

}  // namespace tidewheel::training
