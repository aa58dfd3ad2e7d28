#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/training/domain/run_executor.h"
#include "tidewheel/training/v1/worker.pb.h"

namespace tidewheel::training {

/// The names of what lies in a run's folder.
inline constexpr char kJobFile[] = "job.pb";
inline constexpr char kItemsFile[] = "items.pb";
inline constexpr char kResultFile[] = "result.pb";
inline constexpr char kPredictionsFile[] = "predictions.pb";
inline constexpr char kPackageFolder[] = "package";
/// Where its training is: the next worker of the same run goes on from there.
inline constexpr char kCheckpointFile[] = "checkpoint.pt";

Progress FromProto(const v1::Progress& progress);
v1::Hyperparameters ToProto(const Hyperparameters& hyperparameters);
Hyperparameters FromProto(const v1::Hyperparameters& hyperparameters);
v1::Evaluation ToProto(const Evaluation& evaluation);
Evaluation FromProto(const v1::Evaluation& evaluation);

/// Takes reports out of the bytes of a pipe, whole messages only.
class ReportReader {
 public:
  /// The newest report in what came so far, if a new one is complete.
  std::optional<Progress> Add(const std::string& bytes);

 private:
  std::string pending_;
};

/// What a worker left behind. kNotFound: no result; kInvalidArgument: one that cannot be read;
/// kFailedPrecondition: the worker's own reason why there is none.
Result<RunOutcome> ReadOutcome(const std::filesystem::path& folder);

}  // namespace tidewheel::training
