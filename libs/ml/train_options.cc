#include "tidewheel/ml/train_options.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

namespace tidewheel::ml {
namespace {

template <typename Enum, std::size_t kCount>
using Names = std::array<std::pair<Enum, std::string_view>, kCount>;

constexpr Names<Optimizer, 2> kOptimizers = {
    {{Optimizer::kAdam, "adam"}, {Optimizer::kSgd, "sgd"}}};
constexpr Names<Schedule, 3> kSchedules = {
    {{Schedule::kConstant, "constant"}, {Schedule::kCosine, "cosine"}, {Schedule::kStep, "step"}}};
constexpr Names<Loss, 2> kLosses = {
    {{Loss::kCrossEntropy, "cross_entropy"}, {Loss::kFocal, "focal"}}};
constexpr Names<StoppingMetric, 4> kMetrics = {
    {{StoppingMetric::kLoss, "loss"},
     {StoppingMetric::kAccuracy, "accuracy"},
     {StoppingMetric::kBalancedAccuracy, "balanced_accuracy"},
     {StoppingMetric::kMacroF1, "macro_f1"}}};

template <typename Enum, std::size_t kCount>
std::string_view NameIn(const Names<Enum, kCount>& names, Enum value) {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  return "unknown";
}

template <typename Enum, std::size_t kCount>
Result<Enum> ParseIn(const Names<Enum, kCount>& names, std::string_view text,
                     std::string_view what) {
  std::string known;
  for (const auto& [value, name] : names) {
    if (name == text) return value;
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  return Error{ErrorCode::kInvalidArgument,
               "no " + std::string(what) + " " + std::string(text) + "; there are " + known};
}

}  // namespace

std::string_view Name(Optimizer optimizer) { return NameIn(kOptimizers, optimizer); }
std::string_view Name(Schedule schedule) { return NameIn(kSchedules, schedule); }
std::string_view Name(Loss loss) { return NameIn(kLosses, loss); }
std::string_view Name(StoppingMetric metric) { return NameIn(kMetrics, metric); }

Result<Optimizer> ParseOptimizer(std::string_view name) {
  return ParseIn(kOptimizers, name, "optimizer");
}
Result<Schedule> ParseSchedule(std::string_view name) {
  return ParseIn(kSchedules, name, "schedule");
}
Result<Loss> ParseLoss(std::string_view name) { return ParseIn(kLosses, name, "loss"); }
Result<StoppingMetric> ParseStoppingMetric(std::string_view name) {
  return ParseIn(kMetrics, name, "stopping metric");
}

Result<void> CheckTrainOptions(const TrainOptions& options, int classes) {
  std::string problems;
  const auto require = [&problems](bool fine, std::string_view limit) {
    if (!fine) problems += (problems.empty() ? "" : "; ") + std::string(limit);
  };
  require(options.threads >= 1 && options.threads <= 256, "threads must be 1 to 256");
  require(options.epochs >= 1 && options.epochs <= 100'000, "epochs must be 1 to 100000");
  require(options.batch_size >= 1 && options.batch_size <= 65'536, "batch_size must be 1 to 65536");
  require(options.learning_rate > 0 && options.learning_rate <= 100,
          "learning_rate must be above 0 and at most 100");
  require(options.momentum >= 0 && options.momentum < 1, "momentum must be in [0, 1)");
  require(options.weight_decay >= 0 && options.weight_decay <= 10,
          "weight_decay must be in [0, 10]");
  require(options.warmup_share >= 0 && options.warmup_share <= 0.5,
          "warmup_share must be in [0, 0.5]");
  require(options.step_epochs >= 1, "step_epochs must be at least 1");
  require(options.focal_gamma >= 0 && options.focal_gamma <= 10, "focal_gamma must be in [0, 10]");
  require(options.patience >= 0, "patience must not be negative");
  if (!options.class_weights.empty()) {
    require(options.class_weights.size() == static_cast<std::size_t>(classes),
            "class_weights must be one for each of " + std::to_string(classes) + " classes");
    double sum = 0;
    bool fine = true;
    for (const double weight : options.class_weights) {
      fine = fine && std::isfinite(weight) && weight >= 0;
      sum += weight;
    }
    require(fine && sum > 0, "class_weights must be finite, not negative and not all zero");
  }
  if (problems.empty()) return {};
  return Error{ErrorCode::kInvalidArgument, problems};
}

Result<TrainOptions> RecipeDefaults(std::string_view recipe, std::size_t training_rows) {
  TrainOptions options;
  // A budget of rows seen, not of epochs: few rows want many epochs, many rows few.
  const auto epochs_for = [training_rows](double rows_seen, double least, double most) {
    const double rows = static_cast<double>(std::max<std::size_t>(training_rows, 1));
    return static_cast<int>(std::clamp(std::round(rows_seen / rows), least, most));
  };
  const bool few = training_rows < 8'192;
  options.batch_size = few ? 32 : 128;
  if (recipe == "image-linear") {
    options.epochs = epochs_for(600'000, 10, 60);
    options.learning_rate = 1e-3;
    options.patience = 10;
  } else if (recipe == "image-cnn") {
    options.epochs = epochs_for(160'000, 3, 25);
    options.learning_rate = few ? 1.5e-3 : 3e-3;
    options.weight_decay = 1e-2;
    options.patience = 8;
  } else {
    return Error{ErrorCode::kNotFound, "no recipe " + std::string(recipe)};
  }
  return options;
}

std::vector<double> InverseFrequencyWeights(std::span<const std::int32_t> labels, int classes) {
  std::vector<double> counts(static_cast<std::size_t>(classes));
  for (const std::int32_t label : labels) {
    if (label >= 0 && label < classes) counts[static_cast<std::size_t>(label)] += 1;
  }
  const auto present = static_cast<double>(
      std::count_if(counts.begin(), counts.end(), [](double count) { return count > 0; }));
  std::vector<double> weights;
  for (const double count : counts) {
    weights.push_back(count > 0 ? static_cast<double>(labels.size()) / (present * count) : 0);
  }
  return weights;
}

}  // namespace tidewheel::ml
