#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/ml/dataset.h"
#include "tidewheel/training/v1/worker.pb.h"
#include "tidewheel/training/worker/report_pipe.h"
#include "tidewheel/vision/image.h"
#include "tidewheel/vision/preprocess.h"

namespace tidewheel::training {

/// One split of the dataset, preprocessed and mapped from a file.
struct PreparedSplit {
  ml::DatasetFile file;
  std::vector<std::uint64_t> ordinals;  // Of each item's row among the dataset's items.
  std::vector<double> measures;         // Rows x measures, in the order of their names.
  std::vector<v1::WorkerItem> items;    // Of each row; empty for the training split.

  /// Those of the items, in their order, and after them, in the training split, varied copies.
  ml::TensorDataset rows() const { return file.View(); }
};

struct PreparedData {
  std::vector<std::string> measures;  // Their names, the same that inference tells.
  PreparedSplit training;
  PreparedSplit validation;
  PreparedSplit test;
};

/// The item's picture, as it is stored.
Result<vision::Image> ReadPicture(const blob::Store& payloads, const v1::WorkerItem& item);

/// Of a training item that weighs more than others of its class, so many rows at most.
inline constexpr std::uint32_t kMostCopies = 12;

/// Reads every item's payload, measures it, preprocesses it as serving will, and writes one file a
/// split: pictures pass through memory one at a time. Where weights count, a training item that
/// weighs n times as much as the lightest of its class is not shown n times as hard but becomes up
/// to kMostCopies rows that share its weight: itself and varied copies (picture_transform.h), the
/// same for the same job. kInvalidArgument, kNotFound, kDataLoss name the item;
/// kFailedPrecondition: a split without items; kCancelled.
Result<PreparedData> PrepareData(const v1::WorkerJob& job,
                                 const vision::PreprocessSpec& preprocessing,
                                 const std::filesystem::path& folder, ReportPipe& reports,
                                 const std::stop_token& stop);

}  // namespace tidewheel::training
