#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::ml {

enum class Optimizer { kAdam, kSgd };
enum class Schedule { kConstant, kCosine, kStep };
enum class Loss { kCrossEntropy, kFocal };
/// What early stopping watches on the validation rows. The loss should fall, the others rise.
enum class StoppingMetric { kLoss, kAccuracy, kBalancedAccuracy, kMacroF1 };

/// "adam", "cosine", "cross_entropy", "balanced_accuracy" and so on.
std::string_view Name(Optimizer optimizer);
std::string_view Name(Schedule schedule);
std::string_view Name(Loss loss);
std::string_view Name(StoppingMetric metric);

/// kInvalidArgument lists the names there are.
Result<Optimizer> ParseOptimizer(std::string_view name);
Result<Schedule> ParseSchedule(std::string_view name);
Result<Loss> ParseLoss(std::string_view name);
Result<StoppingMetric> ParseStoppingMetric(std::string_view name);

/// How a model is trained. Together with the architecture, the datasets and the number of threads
/// it decides every bit of the result on one kind of machine.
struct TrainOptions {
  std::uint64_t seed = 1;  // Of the starting weights, the order of the rows and dropout.
  int threads = 1;
  int epochs = 10;
  int batch_size = 128;
  Optimizer optimizer = Optimizer::kAdam;
  double learning_rate = 1e-3;
  double momentum = 0.9;  // Of kSgd.
  double weight_decay =
      0;  // Apart from the gradient with kAdam (AdamW, Loshchilov and Hutter 2019).
  Schedule schedule = Schedule::kCosine;
  double warmup_share = 0.05;  // Of all steps: the learning rate rises from near zero.
  int step_epochs = 10;        // kStep: after so many, each time, a tenth of the learning rate.
  Loss loss = Loss::kCrossEntropy;
  double focal_gamma = 2.0;             // Of kFocal (Lin et al. 2017).
  std::vector<double> class_weights{};  // One for each class, or empty; only ratios count.
  StoppingMetric stopping_metric = StoppingMetric::kLoss;
  int patience = 0;  // Stop after so many epochs without a better metric. 0: train all epochs.
  // Keeps the last epoch's weights and not the best one's, and does not stop early: where the
  // validation rows stand for something else than what is to be learned, they choose badly.
  bool keep_last = false;

  friend bool operator==(const TrainOptions&, const TrainOptions&) = default;
};

/// kInvalidArgument names every problem at once.
Result<void> CheckTrainOptions(const TrainOptions& options, int classes);

/// What a recipe does well with on so many rows (README.md has the measurements). kNotFound: no
/// such recipe.
Result<TrainOptions> RecipeDefaults(std::string_view recipe, std::size_t training_rows);

/// rows / (classes with rows * rows of the class): rare classes count as much as frequent ones, and
/// a row weighs 1 on average. A class without rows gets 0.
std::vector<double> InverseFrequencyWeights(std::span<const std::int32_t> labels, int classes);

}  // namespace tidewheel::ml
