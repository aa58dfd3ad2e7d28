#include "tidewheel/ml/train.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <time.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <span>
#include <utility>

#include "tidewheel/base/random.h"
#include "tidewheel/ml/internal/checkpoint_file.h"
#include "tidewheel/ml/internal/torch_module.h"
#include "tidewheel/ml/internal/weight_updater.h"

namespace tidewheel::ml {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kReportEvery{250};
constexpr std::size_t kValidationBatch = 256;

double SecondsSince(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

/// A seed of its own for each use of chance, so that they do not repeat each other.
std::uint64_t SeedFor(std::uint64_t seed, std::string_view use) { return StableHash(use, seed); }

double LearningRateAt(const TrainOptions& options, std::int64_t step,
                      std::int64_t steps_of_an_epoch) {
  const auto all = static_cast<double>(steps_of_an_epoch * options.epochs);
  const double warmup = options.warmup_share * all;
  const auto now = static_cast<double>(step);
  if (now + 1 < warmup) return options.learning_rate * (now + 1) / warmup;
  switch (options.schedule) {
    case Schedule::kConstant:
      return options.learning_rate;
    case Schedule::kCosine: {
      const double done = (now - warmup) / std::max(1.0, all - warmup);
      return options.learning_rate * 0.5 *
             (1 + std::cos(std::numbers::pi * std::clamp(done, 0.0, 1.0)));
    }
    case Schedule::kStep: {
      const std::int64_t drops = step / steps_of_an_epoch / options.step_epochs;
      return options.learning_rate * std::pow(0.1, static_cast<double>(drops));
    }
  }
  return options.learning_rate;
}

/// What a row counts in the loss, before it is divided by the mean.
class RowWeights {
 public:
  RowWeights(const TrainOptions& options, const TensorDataset& dataset)
      : options_(options), dataset_(dataset) {}

  double Of(std::size_t row) const {
    const auto label = static_cast<std::size_t>(dataset_.labels[row]);
    const double of_class = options_.class_weights.empty() ? 1.0 : options_.class_weights[label];
    return of_class * (dataset_.weights.empty() ? 1.0 : double{dataset_.weights[row]});
  }
  double Sum() const {
    double sum = 0;
    for (std::size_t row = 0; row < dataset_.rows(); ++row) sum += Of(row);
    return sum;
  }

 private:
  const TrainOptions& options_;
  const TensorDataset& dataset_;
};

/// Counts answers by class and makes the scores of them.
class ConfusionCounts {
 public:
  explicit ConfusionCounts(int classes)
      : right_(static_cast<std::size_t>(classes)), truths_(right_), answers_(right_) {}

  void Add(std::int64_t truth, std::int64_t answer) {
    truths_[static_cast<std::size_t>(truth)] += 1;
    answers_[static_cast<std::size_t>(answer)] += 1;
    if (truth == answer) right_[static_cast<std::size_t>(truth)] += 1;
  }

  ValidationScore Score() const {
    double right = 0;
    double rows = 0;
    double recalls = 0;
    double f1s = 0;
    double present = 0;
    for (std::size_t i = 0; i < truths_.size(); ++i) {
      right += right_[i];
      rows += truths_[i];
      if (truths_[i] == 0) continue;
      present += 1;
      recalls += right_[i] / truths_[i];
      f1s += 2 * right_[i] / (truths_[i] + answers_[i]);
    }
    return {.loss = 0,
            .accuracy = right / rows,
            .balanced_accuracy = recalls / present,
            .macro_f1 = f1s / present};
  }

 private:
  std::vector<double> right_;
  std::vector<double> truths_;
  std::vector<double> answers_;
};

/// Higher is better.
double Merit(StoppingMetric metric, const ValidationScore& score) {
  switch (metric) {
    case StoppingMetric::kLoss:
      return -score.loss;
    case StoppingMetric::kAccuracy:
      return score.accuracy;
    case StoppingMetric::kBalancedAccuracy:
      return score.balanced_accuracy;
    case StoppingMetric::kMacroF1:
      return score.macro_f1;
  }
  return 0;
}

/// Of all threads, in the kernel too.
double ProcessCpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Where a training is, between two steps.
struct Place {
  int epoch = 1;
  std::int64_t step = 0;  // The next one, within the epoch.
  double loss_sum = 0;    // Over the epoch's rows so far.
  double best_merit = 0;
  bool is_done = false;       // The weights are the result.
  double seconds_before = 0;  // Spent by the processes before this one, on all,
  double epoch_seconds = 0;   // and on this epoch.
};

/// One training, from the first step to the restored best weights.
class Training {
 public:
  Training(TorchModule& module, const TrainOptions& options, const TensorDataset& training,
           const TensorDataset& validation, ProgressSink& progress, const std::stop_token& stop,
           const Checkpoint& checkpoint)
      : module_(module),
        options_(options),
        training_(training),
        validation_(validation),
        progress_(progress),
        stop_(stop),
        checkpoint_(checkpoint),
        row_weights_(options, training),
        mean_weight_(row_weights_.Sum() / static_cast<double>(training.rows())),
        updater_(options, WeightsOf(module)),
        shuffle_(SeedFor(options.seed, "order of rows")),
        order_(training.rows()),
        steps_((static_cast<std::int64_t>(training.rows()) + options.batch_size - 1) /
               options.batch_size) {
    std::iota(order_.begin(), order_.end(), 0u);
  }

  Result<void> Run(TrainedModel& result) {
    if (!(mean_weight_ > 0)) {
      return Error{ErrorCode::kInvalidArgument, "every training row weighs nothing"};
    }
    if (!checkpoint_.file.empty()) GoOnFromCheckpoint(result);
    for (; place_.epoch <= options_.epochs && !place_.is_done; ++place_.epoch) {
      auto record = RunEpoch(result);
      if (!record) return record.error();
      result.epochs.push_back(*record);
      place_.step = 0;
      place_.loss_sum = 0;
      place_.epoch_seconds = 0;
      ReportEnd(*record);
      if (!TakeStock(*record, result)) break;
    }
    if (!place_.is_done && result.best_epoch != result.epochs.back().epoch) {
      updater_.Restore(best_weights_);
    }
    place_.is_done = true;
    module_.module.eval();
    if (!checkpoint_.file.empty()) Save(result);
    result.seconds = Seconds();
    return {};
  }

 private:
  static std::vector<at::Tensor> WeightsOf(const TorchModule& module) {
    std::vector<at::Tensor> weights;
    for (const at::Tensor& weight : module.module.parameters()) weights.push_back(weight);
    return weights;
  }

  static std::vector<at::Tensor> BuffersOf(const TorchModule& module) {
    std::vector<at::Tensor> buffers;
    for (const at::Tensor& buffer : module.module.buffers()) buffers.push_back(buffer);
    return buffers;
  }

  Error Cancelled() const { return Error{ErrorCode::kCancelled, "the training was cancelled"}; }

  /// Keeps the epoch's weights if they are the best so far. False: no more epochs.
  bool TakeStock(const EpochRecord& record, TrainedModel& result) {
    if (!record.validation || options_.keep_last) {
      result.best_epoch = record.epoch;
      return true;
    }
    const double merit = Merit(options_.stopping_metric, *record.validation);
    if (best_weights_.empty() || merit > place_.best_merit) {
      place_.best_merit = merit;
      best_weights_ = updater_.CopyOfWeights();
      result.best_epoch = record.epoch;
      return true;
    }
    result.stopped_early =
        options_.patience > 0 && record.epoch - result.best_epoch >= options_.patience;
    return !result.stopped_early;
  }

  double Seconds() const { return place_.seconds_before + SecondsSince(start_); }

  /// All but the order of the rows, which the number of the epoch tells.
  void Save(TrainedModel& result) {
    TrainingState state;
    updater_.SaveTo(state);
    PutTensors(state, "buffer", BuffersOf(module_));
    PutTensors(state, "best", best_weights_);
    state["dropout"] = at::globalContext().defaultGenerator(at::kCPU).get_state();
    PutNumbers(state, "place",
               {static_cast<double>(place_.epoch), static_cast<double>(place_.step),
                place_.loss_sum, place_.best_merit, place_.is_done ? 1.0 : 0.0,
                updater_.is_first_step() ? 1.0 : 0.0, static_cast<double>(rows_done_), Seconds(),
                place_.epoch_seconds + SecondsSince(epoch_start_),
                result.earlier_cpu_seconds + ProcessCpuSeconds(),
                static_cast<double>(result.best_epoch), result.stopped_early ? 1.0 : 0.0});
    std::vector<double> records;
    for (const EpochRecord& record : result.epochs) {
      const ValidationScore score = record.validation.value_or(ValidationScore{});
      records.insert(records.end(),
                     {static_cast<double>(record.epoch), record.learning_rate, record.training_loss,
                      record.validation ? 1.0 : 0.0, score.loss, score.accuracy,
                      score.balanced_accuracy, score.macro_f1, record.seconds});
    }
    PutNumbers(state, "epochs", records);
    if (auto saved = SaveCheckpoint(checkpoint_.file, checkpoint_.identity, state); !saved) {
      result.checkpoint_problem = saved.error().message;
    }
    saved_ = SteadyClock::now();
  }

  /// What cannot be gone on with is reported, and the training begins at its beginning.
  void GoOnFromCheckpoint(TrainedModel& result) {
    const auto state = LoadCheckpoint(checkpoint_.file, checkpoint_.identity);
    if (!state) {
      if (state.error().code != ErrorCode::kNotFound) {
        result.checkpoint_problem = state.error().message;
      }
      return;
    }
    const auto taken = WithoutExceptions(ErrorCode::kInvalidArgument, checkpoint_.file.string(),
                                         [&]() -> Result<void> {
                                           Take(*state, result);
                                           return {};
                                         });
    if (!taken) result.checkpoint_problem = taken.error().message;
  }

  /// Throws before anything is changed.
  void Take(const TrainingState& state, TrainedModel& result) {
    const auto place = NumbersOf(state, "place");
    TORCH_CHECK(place.size() == 12, "it tells another place");
    const auto records = NumbersOf(state, "epochs");
    const auto buffers = BuffersOf(module_);
    CheckTensors(state, "buffer", buffers);
    updater_.Check(state);
    at::Generator dropout = at::globalContext().defaultGenerator(at::kCPU);
    dropout.set_state(state.at("dropout"));

    updater_.LoadFrom(state, place[5] != 0);
    CopyTensors(state, "buffer", buffers);
    best_weights_ = TensorsOf(state, "best");
    place_ = {.epoch = static_cast<int>(place[0]),
              .step = static_cast<std::int64_t>(place[1]),
              .loss_sum = place[2],
              .best_merit = place[3],
              .is_done = place[4] != 0,
              .seconds_before = place[7],
              .epoch_seconds = place[8]};
    rows_done_ = static_cast<std::uint64_t>(place[6]);
    result.earlier_cpu_seconds = place[9];
    result.best_epoch = static_cast<int>(place[10]);
    result.stopped_early = place[11] != 0;
    for (auto at = records.begin(); records.end() - at >= 9; at += 9) {
      EpochRecord record{.epoch = static_cast<int>(at[0]),
                         .learning_rate = at[1],
                         .training_loss = at[2],
                         .seconds = at[8]};
      if (at[3] != 0) record.validation = ValidationScore{at[4], at[5], at[6], at[7]};
      result.epochs.push_back(record);
    }
    result.resumed_rows = rows_done_;
    for (int epoch = 1; epoch < place_.epoch; ++epoch) Shuffle();
  }

  Result<EpochRecord> RunEpoch(TrainedModel& result) {
    epoch_start_ = SteadyClock::now();
    Shuffle();
    module_.module.train();
    EpochRecord record{.epoch = place_.epoch};
    for (std::int64_t step = place_.step; step < steps_; ++step) {
      if (stop_.stop_requested()) return Cancelled();
      const std::int64_t step_of_all = (record.epoch - 1) * steps_ + step;
      record.learning_rate = LearningRateAt(options_, step_of_all, steps_);
      const auto first =
          static_cast<std::size_t>(step) * static_cast<std::size_t>(options_.batch_size);
      const auto count =
          std::min(static_cast<std::size_t>(options_.batch_size), order_.size() - first);
      const double loss = Step(std::span(order_).subspan(first, count), record.learning_rate);
      if (!std::isfinite(loss)) {
        return Error{ErrorCode::kAborted,
                     "the loss is no number any more in epoch " + std::to_string(record.epoch) +
                         ", step " + std::to_string(step + 1) + ": a lower learning rate than " +
                         std::to_string(options_.learning_rate) + " may help"};
      }
      place_.loss_sum += loss * static_cast<double>(count);
      place_.step = step + 1;
      rows_done_ += count;
      record.training_loss = place_.loss_sum / static_cast<double>(first + count);
      ReportStep(record, step);
      if (!checkpoint_.file.empty() && SteadyClock::now() - saved_ >= checkpoint_.every) {
        Save(result);
      }
    }
    record.learning_rate = LearningRateAt(options_, record.epoch * steps_ - 1, steps_);
    record.training_loss = place_.loss_sum / static_cast<double>(order_.size());
    if (validation_.rows() > 0) {
      auto score = Validate();
      if (!score) return score.error();
      record.validation = *score;
    }
    record.seconds = place_.epoch_seconds + SecondsSince(epoch_start_);
    return record;
  }

  /// Fisher and Yates, with our own numbers: the same order on every machine.
  void Shuffle() {
    for (std::size_t left = order_.size(); left > 1; --left) {
      std::swap(order_[left - 1], order_[shuffle_.Below(left)]);
    }
  }

  /// The loss of each row, unweighted.
  at::Tensor Losses(const at::Tensor& logits, const at::Tensor& labels) const {
    const at::Tensor losses =
        at::nll_loss(at::log_softmax(logits, 1), labels, {}, at::Reduction::None);
    if (options_.loss == Loss::kCrossEntropy) return losses;
    return at::pow(1 - at::exp(-losses), options_.focal_gamma) * losses;
  }

  at::Tensor Logits(const TensorDataset& dataset, std::span<const std::uint32_t> indices) {
    return module_.module.get_method("logits")({BatchOf(dataset, indices)}).toTensor();
  }

  static at::Tensor LabelsOf(const TensorDataset& dataset, std::span<const std::uint32_t> indices) {
    at::Tensor labels = at::empty({static_cast<std::int64_t>(indices.size())}, at::kLong);
    auto* out = labels.data_ptr<std::int64_t>();
    for (const std::uint32_t index : indices) *out++ = dataset.labels[index];
    return labels;
  }

  /// Divided by the mean weight of the whole set and not of the batch, so that a rare heavy row
  /// counts the same in every batch.
  double Step(std::span<const std::uint32_t> indices, double learning_rate) {
    at::Tensor weights = at::empty({static_cast<std::int64_t>(indices.size())}, at::kFloat);
    auto* out = weights.data_ptr<float>();
    for (const std::uint32_t index : indices) {
      *out++ = static_cast<float>(row_weights_.Of(index) / mean_weight_);
    }
    const at::Tensor losses = Losses(Logits(training_, indices), LabelsOf(training_, indices));
    const at::Tensor loss = (losses * weights).mean();
    loss.backward();
    updater_.Update(learning_rate);
    return double{loss.item<float>()};
  }

  Result<ValidationScore> Validate() {
    const c10::NoGradGuard no_gradients;
    module_.module.eval();
    const RowWeights row_weights(options_, validation_);
    ConfusionCounts counts(module_.architecture->classes);
    double loss_sum = 0;
    double weight_sum = 0;
    std::vector<std::uint32_t> indices;
    for (std::size_t first = 0; first < validation_.rows(); first += kValidationBatch) {
      if (stop_.stop_requested()) return Cancelled();
      indices.resize(std::min(kValidationBatch, validation_.rows() - first));
      std::iota(indices.begin(), indices.end(), static_cast<std::uint32_t>(first));
      const at::Tensor logits = Logits(validation_, indices);
      const at::Tensor losses = Losses(logits, LabelsOf(validation_, indices)).contiguous();
      const at::Tensor answers = logits.argmax(1).contiguous();
      for (std::size_t i = 0; i < indices.size(); ++i) {
        const double weight = row_weights.Of(indices[i]);
        loss_sum += weight * double{losses.data_ptr<float>()[i]};
        weight_sum += weight;
        counts.Add(validation_.labels[indices[i]], answers.data_ptr<std::int64_t>()[i]);
      }
    }
    ValidationScore score = counts.Score();
    score.loss = weight_sum > 0 ? loss_sum / weight_sum : 0;
    return score;
  }

  TrainingProgress ProgressAt(const EpochRecord& record, std::int64_t step) const {
    const double seconds = std::max(Seconds(), 1e-9);
    const double all = static_cast<double>(training_.rows()) * options_.epochs;
    const auto done = static_cast<double>(rows_done_);
    return {.epoch = record.epoch,
            .epochs = options_.epochs,
            .step = step + 1,
            .steps = steps_,
            .training_loss = record.training_loss,
            .finished_epoch = std::nullopt,
            .samples_per_second = done / seconds,
            .remaining = std::chrono::duration<double>(seconds / done * (all - done))};
  }

  void ReportStep(const EpochRecord& record, std::int64_t step) {
    const auto now = SteadyClock::now();
    if (now - reported_ < kReportEvery) return;
    reported_ = now;
    progress_.Report(ProgressAt(record, step));
  }

  void ReportEnd(const EpochRecord& record) {
    TrainingProgress progress = ProgressAt(record, steps_ - 1);
    progress.finished_epoch = record;
    progress_.Report(progress);
  }

  TorchModule& module_;
  const TrainOptions& options_;
  const TensorDataset& training_;
  const TensorDataset& validation_;
  ProgressSink& progress_;
  const std::stop_token& stop_;
  const Checkpoint& checkpoint_;
  const RowWeights row_weights_;
  const double mean_weight_;
  WeightUpdater updater_;
  Random shuffle_;
  std::vector<std::uint32_t> order_;
  const std::int64_t steps_;
  Place place_;
  std::vector<at::Tensor> best_weights_;
  std::uint64_t rows_done_ = 0;
  const SteadyClock::time_point start_ = SteadyClock::now();
  SteadyClock::time_point epoch_start_ = start_;
  SteadyClock::time_point reported_ = start_;
  SteadyClock::time_point saved_ = start_;
};

Result<void> CheckArguments(const Architecture& architecture, const TrainOptions& options,
                            const TensorDataset& training, const TensorDataset& validation) {
  if (auto fine = CheckTrainOptions(options, architecture.classes); !fine) return fine;
  if (training.rows() == 0) {
    return Error{ErrorCode::kInvalidArgument, "there are no training rows"};
  }
  if (auto fine = CheckDataset(training, architecture.classes); !fine) {
    return Prefixed("training rows: ", fine.error());
  }
  if (validation.rows() > 0) {
    if (auto fine = CheckDataset(validation, architecture.classes); !fine) {
      return Prefixed("validation rows: ", fine.error());
    }
  }
  if (training.shape != architecture.input ||
      (validation.rows() > 0 && validation.shape != architecture.input)) {
    return Error{ErrorCode::kInvalidArgument, "the rows' shape is not the architecture's"};
  }
  return {};
}

class SilentSink final : public ProgressSink {
 public:
  void Report(const TrainingProgress& /*progress*/) override {}
};

}  // namespace

ProgressSink& ProgressSink::None() {
  static SilentSink none;
  return none;
}

Result<TrainedModel> Train(const Architecture& architecture, const TrainOptions& options,
                           const TensorDataset& training, const TensorDataset& validation,
                           ProgressSink& progress, const std::stop_token& stop,
                           const Checkpoint& checkpoint) {
  if (auto fine = CheckArguments(architecture, options, training, validation); !fine) {
    return fine.error();
  }
  auto model = Model::Create(architecture, SeedFor(options.seed, "starting weights"));
  if (!model) return model.error();
  TrainedModel result{.model = std::move(*model), .epochs = {}};
  const auto ran = WithoutExceptions(ErrorCode::kInternal, "training", [&]() -> Result<void> {
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
    at::globalContext().setDeterministicFillUninitializedMemory(false);
    at::manual_seed(SeedFor(options.seed, "dropout"));
    at::set_num_threads(options.threads);
    // The profiling executor would run other code from the third batch on.
    const torch::jit::GraphOptimizerEnabledGuard as_written(false);
    return Training(result.model.module(), options, training, validation, progress, stop,
                    checkpoint)
        .Run(result);
  });
  if (!ran) return ran.error();
  return result;
}

}  // namespace tidewheel::ml
