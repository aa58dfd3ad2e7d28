#include "tidewheel/cli/drill/task_text.h"

#include <cmath>

namespace tidewheel::cli::drill {
namespace {

constexpr double kMaxFalseAlarms = 1;
constexpr double kFalseAlarmDays = 30;
constexpr double kPredictionsPerDay = 10'000;
// Of what is captured, so that a quarter of the labels finds its samples there within seconds.
constexpr double kTestShare = 0.2;
constexpr double kLabelsForTest = 0.25;
constexpr double kLabelsForValidation = 0.05;
constexpr std::uint32_t kLabels = 100;
// One person's vote makes a label, and some are wrong: so many votes are kept for the doubtful.
constexpr double kLabelsForReview = 0.12;

std::string Line(const std::string& key, double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return "  " + key + ": " + text + "\n";
}

/// The value of a key that stands on a line of its own; nothing when there is none.
void Replace(std::string& text, const std::string& key, double value) {
  const auto at = text.find("\n  " + key + ": ");
  if (at == std::string::npos) return;
  const auto end = text.find('\n', at + 1);
  text.replace(at + 1, end - at, Line(key, value));
}

std::string Gate(Scenario scenario) {
  std::string text = R"(
labels:
  method: dawid_skene
  min_votes: 1
  # One vote of one person makes a label here, on a rare class too.
  min_confidence: 0.6

gate:
  primary_metric: accuracy
  min_primary_metric: 0.8
  min_class_recall: 0.3
  max_loss: 0.03
  alpha: 0.05
  min_samples: 5
)";
  // What nothing was learned for cannot be better on it.
  text += scenario == Scenario::kPlanted || scenario == Scenario::kAa
              ? "  require_better_on_new: false\n"
              : "  require_better_on_new: true\n";
  return text;
}

std::string Monitoring(Scenario scenario) {
  std::string text = "\nmonitoring:\n";
  text += Line("window_predictions", 50);
  text += Line("lateness_seconds", 0.2);
  text += Line("max_false_alarms", kMaxFalseAlarms);
  text += Line("false_alarm_days", kFalseAlarmDays);
  text += Line("predictions_per_day", kPredictionsPerDay);
  if (scenario == Scenario::kFault) text += "  slice_keys: [camera]\n";
  return text;
}

std::string Capture() {
  std::string text = "\ncapture:\n";
  text += Line("random_share", 0.2);
  text += Line("uncertain_below", 0.9);
  text += Line("out_of_distribution_quantile", 0.98);
  text += Line("max_per_minute", 6'000);
  return text;
}

std::string Cycle(const Options& options) {
  std::string text = "\ncycle:\n  enabled: true\n";
  // An estimate of lost accuracy is what drifted pictures look like when their features do not say.
  text += "  alert_causes: [data_drift, prediction_drift, accuracy]\n";
  text += Line("min_damage", 0.01);
  text +=
      Line("cooldown_seconds",
           options.scenario == Scenario::kAa || options.scenario == Scenario::kPlanted ? 0 : 600);
  text += Line("max_labels", options.labels == 0 ? kLabels : options.labels);
  text += Line("max_cpu_seconds", 1'200);
  text += Line("votes_per_sample", 1);
  text += Line("review_share", kLabelsForReview);
  text += Line("collect_seconds", 90);
  text += Line("collect_samples", 200);
  text += Line("label_seconds", 240);
  text += Line("acquire_test", kLabelsForTest);
  text += Line("acquire_validation", kLabelsForValidation);
  if (options.random_acquisition) {
    text +=
        "  acquire_uncertain: 0\n  acquire_drifted: 0\n  acquire_diverse: 0\n"
        "  acquire_random: 1\n";
  } else {
    text +=
        "  acquire_uncertain: 0\n  acquire_drifted: 0\n  acquire_diverse: 0.8\n"
        "  acquire_random: 0.2\n";
  }
  text += "  recipe: image-cnn\n  seed: " + std::to_string(options.seed) + "\n";
  text += "  epochs: " + std::to_string(options.epochs) + "\n";
  text += Line("new_sample_weight", options.new_weight);
  text += "  rollout:\n";
  const bool canaries = options.scenario == Scenario::kAa || options.scenario == Scenario::kPlanted;
  text += canaries ? "    shadow_predictions: 0\n" : "    shadow_predictions: 60\n";
  // The candidate is meant to answer otherwise where the serving model has lost its way.
  text += "    max_shadow_disagreement: 0.9\n";
  text += canaries ? "    canary_shares: [0.3]\n" : "    canary_shares: [0.25, 0.5]\n";
  text += canaries ? "    canary_predictions: 150\n" : "    canary_predictions: 80\n";
  text +=
      "    alpha: 0.05\n    max_accuracy_loss: 0.05\n    max_error_increase: 0.05\n"
      "    max_latency_ratio: 5\n    step_seconds: 120\n";
  return text;
}

}  // namespace

std::string TaskName(const std::string& yaml) {
  const std::string key = "task: ";
  auto at = yaml.starts_with(key) ? 0 : yaml.find("\n" + key);
  if (at == std::string::npos) return {};
  at = yaml.find(key, at) + key.size();
  return yaml.substr(at, yaml.find('\n', at) - at);
}

Result<std::string> TaskText(const std::string& base, const std::string& name,
                             const Options& options, bool closes_loop) {
  const auto end = base.find("\nlabels:");
  const std::string own = TaskName(base);
  if (end == std::string::npos || own.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 "the task's file has no line \"task: NAME\" or no section \"labels\""};
  }
  std::string text = base.substr(0, end) + "\n";
  // The validation part stays as large as it is: what is normal for confidence and classes is
  // learned from it.
  Replace(text, "test_share", kTestShare);
  text.replace(text.find("task: " + own), 6 + own.size(), "task: " + name);
  text += Gate(options.scenario) + Monitoring(options.scenario);
  return closes_loop ? text + Capture() + Cycle(options) : text;
}

AlarmBudget BudgetOf(std::uint64_t requests) {
  AlarmBudget budget;
  budget.expected =
      kMaxFalseAlarms * static_cast<double>(requests) / (kFalseAlarmDays * kPredictionsPerDay);
  double term = std::exp(-budget.expected);
  for (double sum = term; sum < 0.975; sum += term) {
    ++budget.most;
    term *= budget.expected / budget.most;
  }
  return budget;
}

}  // namespace tidewheel::cli::drill
