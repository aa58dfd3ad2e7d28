#include "tidewheel/ml/train.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <span>
#include <utility>

#include "tidewheel/base/random.h"
#include "tidewheel/ml/internal/torch_module.h"

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

/// The optimiser's state beside the weights.
class WeightUpdater {
 public:
  WeightUpdater(const TrainOptions& options, std::vector<at::Tensor> weights)
      : options_(options), weights_(std::move(weights)) {
    for (const at::Tensor& weight : weights_) {
      first_.push_back(at::zeros_like(weight));
      if (options.optimizer == Optimizer::kAdam) {
        second_.push_back(at::zeros_like(weight));
        steps_.push_back(at::zeros({}, at::kFloat));
      }
    }
  }

  /// Applies the gradients and forgets them.
  void Update(double learning_rate) {
    const c10::NoGradGuard no_gradients;
    std::vector<at::Tensor> gradients;
    for (const at::Tensor& weight : weights_) gradients.push_back(weight.grad());
    if (options_.optimizer == Optimizer::kAdam) {
      for (at::Tensor& step : steps_) step.add_(1);
      at::_fused_adamw_(weights_, gradients, first_, second_, {}, steps_, learning_rate, 0.9, 0.999,
                        options_.weight_decay, 1e-8, /*amsgrad=*/false, /*maximize=*/false);
    } else {
      at::_fused_sgd_(weights_, gradients, first_, options_.weight_decay, options_.momentum,
                      learning_rate, /*dampening=*/0, /*nesterov=*/false, /*maximize=*/false,
                      is_first_step_);
      is_first_step_ = false;
    }
    for (at::Tensor& weight : weights_) weight.mutable_grad() = at::Tensor();
  }

  std::vector<at::Tensor> CopyOfWeights() const {
    std::vector<at::Tensor> copies;
    for (const at::Tensor& weight : weights_) copies.push_back(weight.detach().clone());
    return copies;
  }
  void Restore(const std::vector<at::Tensor>& copies) {
    const c10::NoGradGuard no_gradients;
    for (std::size_t i = 0; i < copies.size(); ++i) weights_[i].copy_(copies[i]);
  }

 private:
  const TrainOptions& options_;
  std::vector<at::Tensor> weights_;
  std::vector<at::Tensor> first_;   // Momentum, or Adam's first moment.
  std::vector<at::Tensor> second_;  // Adam's second moment.
  std::vector<at::Tensor> steps_;
  bool is_first_step_ = true;
};

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

/// One training, from the first step to the restored best weights.
class Training {
 public:
  Training(TorchModule& module, const TrainOptions& options, const TensorDataset& training,
           const TensorDataset& validation, ProgressSink& progress, const std::stop_token& stop)
      : module_(module),
        options_(options),
        training_(training),
        validation_(validation),
        progress_(progress),
        stop_(stop),
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
    std::vector<at::Tensor> best_weights;
    double best_merit = 0;
    for (int epoch = 1; epoch <= options_.epochs; ++epoch) {
      auto record = RunEpoch(epoch);
      if (!record) return record.error();
      result.epochs.push_back(*record);
      ReportEnd(*record);
      if (!record->validation || options_.keep_last) {
        result.best_epoch = epoch;
        continue;
      }
      const double merit = Merit(options_.stopping_metric, *record->validation);
      if (best_weights.empty() || merit > best_merit) {
        best_merit = merit;
        best_weights = updater_.CopyOfWeights();
        result.best_epoch = epoch;
      } else if (options_.patience > 0 && epoch - result.best_epoch >= options_.patience) {
        result.stopped_early = true;
        break;
      }
    }
    if (result.best_epoch != result.epochs.back().epoch) updater_.Restore(best_weights);
    module_.module.eval();
    result.seconds = SecondsSince(start_);
    return {};
  }

 private:
  static std::vector<at::Tensor> WeightsOf(const TorchModule& module) {
    std::vector<at::Tensor> weights;
    for (const at::Tensor& weight : module.module.parameters()) weights.push_back(weight);
    return weights;
  }

  Error Cancelled() const { return Error{ErrorCode::kCancelled, "the training was cancelled"}; }

  Result<EpochRecord> RunEpoch(int epoch) {
    const auto start = SteadyClock::now();
    Shuffle();
    module_.module.train();
    EpochRecord record{.epoch = epoch};
    double loss_sum = 0;
    for (std::int64_t step = 0; step < steps_; ++step) {
      if (stop_.stop_requested()) return Cancelled();
      const std::int64_t step_of_all = (epoch - 1) * steps_ + step;
      record.learning_rate = LearningRateAt(options_, step_of_all, steps_);
      const auto first =
          static_cast<std::size_t>(step) * static_cast<std::size_t>(options_.batch_size);
      const auto count =
          std::min(static_cast<std::size_t>(options_.batch_size), order_.size() - first);
      const double loss = Step(std::span(order_).subspan(first, count), record.learning_rate);
      if (!std::isfinite(loss)) {
        return Error{ErrorCode::kAborted,
                     "the loss is no number any more in epoch " + std::to_string(epoch) +
                         ", step " + std::to_string(step + 1) + ": a lower learning rate than " +
                         std::to_string(options_.learning_rate) + " may help"};
      }
      loss_sum += loss * static_cast<double>(count);
      rows_done_ += count;
      record.training_loss = loss_sum / static_cast<double>(first + count);
      ReportStep(record, step);
    }
    if (validation_.rows() > 0) {
      auto score = Validate();
      if (!score) return score.error();
      record.validation = *score;
    }
    record.seconds = SecondsSince(start);
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
    const double seconds = std::max(SecondsSince(start_), 1e-9);
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
  const RowWeights row_weights_;
  const double mean_weight_;
  WeightUpdater updater_;
  Random shuffle_;
  std::vector<std::uint32_t> order_;
  const std::int64_t steps_;
  std::uint64_t rows_done_ = 0;
  const SteadyClock::time_point start_ = SteadyClock::now();
  SteadyClock::time_point reported_ = start_;
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
                           ProgressSink& progress, const std::stop_token& stop) {
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
    return Training(result.model.module(), options, training, validation, progress, stop)
        .Run(result);
  });
  if (!ran) return ran.error();
  return result;
}

}  // namespace tidewheel::ml
