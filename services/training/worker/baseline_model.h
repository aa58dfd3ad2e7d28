#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/training/worker/prepared_data.h"
#include "tidewheel/vision/preprocess.h"

namespace tidewheel::training {

/// The model version that serves now, asked about a candidate's held-out items. Not thread-safe.
class BaselineModel {
 public:
  /// Fetches the package's files from the payload store into `folder` and loads model.ts, or
  /// model.onnx where there is no other. kInvalidArgument: a package without manifest or model, or
  /// one whose manifest does not fit; kNotFound, kDataLoss: a file of it.
  static Result<BaselineModel> Load(const v1::WorkerJob& job, const std::filesystem::path& folder);

  /// Probabilities, rows x the job's classes, in their order: a class that the baseline does not
  /// know gets 0, one that only the baseline knows is left out. The items' pictures go through the
  /// baseline's own preprocessing; where it is `prepared_with`, the split's rows are taken.
  /// kCancelled.
  Result<std::vector<float>> Answer(const PreparedSplit& split,
                                    const vision::PreprocessSpec& prepared_with,
                                    const std::stop_token& stop) const;

 private:
  /// Rows x own classes of rows x elements.
  using Engine = std::function<Result<std::vector<float>>(std::span<const float>, std::size_t)>;

  vision::PreprocessSpec spec_;
  std::vector<std::ptrdiff_t> own_class_;  // Of each of the job's classes; -1: unknown to it.
  std::size_t own_classes_ = 0;
  Engine engine_;
  std::shared_ptr<blob::Store> payloads_;
};

}  // namespace tidewheel::training
