#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/ml/checkpoint.h"
#include "tidewheel/ml/dataset.h"
#include "tidewheel/ml/graph/architecture.h"
#include "tidewheel/ml/model.h"
#include "tidewheel/ml/train_options.h"

namespace tidewheel::ml {

/// How a model does on the validation rows. The loss is weighted as in training, the others are
/// not.
struct ValidationScore {
  double loss = 0;
  double accuracy = 0;
  double balanced_accuracy = 0;  // Mean recall of the classes that are there.
  double macro_f1 = 0;           // Mean F1 of the classes that are there.
};

struct EpochRecord {
  int epoch = 0;             // From 1.
  double learning_rate = 0;  // At its end.
  double training_loss = 0;  // Mean over the epoch, dropout at work.
  std::optional<ValidationScore> validation{};
  double seconds = 0;
};

/// Where a training is. Sent a few times a second and at the end of each epoch.
struct TrainingProgress {
  int epoch = 0;  // From 1.
  int epochs = 0;
  std::int64_t step = 0;                        // Within the epoch, from 1.
  std::int64_t steps = 0;                       // Of one epoch.
  double training_loss = 0;                     // Mean since the epoch began.
  std::optional<EpochRecord> finished_epoch{};  // When this report ends one.
  double samples_per_second = 0;                // Since the start, validation included.
  std::chrono::duration<double> remaining{};    // If it does not stop early.
};

/// Takes reports on the training's own thread; it must be quick.
class ProgressSink {
 public:
  virtual ~ProgressSink() = default;
  virtual void Report(const TrainingProgress& progress) = 0;
  /// Takes no notice.
  static ProgressSink& None();
};

struct TrainedModel {
  Model model;  // With the weights of the best epoch.
  std::vector<EpochRecord> epochs{};
  int best_epoch = 0;  // From 1; the last one without validation rows or with keep_last.
  bool stopped_early = false;
  double seconds = 0;  // Of processes before this one too, as far as their checkpoints tell.
  // Gone on with from a checkpoint: the rows that were trained on before it, and the whole CPU time
  // of those processes until then.
  std::uint64_t resumed_rows = 0;
  double earlier_cpu_seconds = 0;
  std::string checkpoint_problem{};  // Empty: none. It cost time at most.
};

/// Trains fresh weights. The same arguments give bit-equal weights on one kind of machine. Sets
/// process-wide flags and the seed of LibTorch: one training at a time in a process. `validation`
/// may have no rows: then nothing stops early. Goes on from `checkpoint` if one is kept there.
/// kInvalidArgument names every wrong option or row; kCancelled: `stop`; kAborted: the loss is no
/// number any more.
Result<TrainedModel> Train(const Architecture& architecture, const TrainOptions& options,
                           const TensorDataset& training, const TensorDataset& validation,
                           ProgressSink& progress, const std::stop_token& stop,
                           const Checkpoint& checkpoint = {});

}  // namespace tidewheel::ml
