#include "tidewheel/model_registry/domain/task_policies.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string>

namespace tidewheel::model_registry {
namespace {

constexpr std::size_t kMaxSliceKeys = 8;
constexpr std::size_t kMaxTests = 32;
constexpr std::size_t kMaxWebhooks = 8;
constexpr std::size_t kMaxRoles = 16;
constexpr std::size_t kMaxShares = 10;
constexpr std::size_t kMaxKeyBytes = 64;
constexpr double kSecondsOfAYear = 31'536'000;

// Of alerts that new labels can help against.
constexpr std::array<std::string_view, 6> kCycleCauses = {
    "data_drift", "prediction_drift", "label_shift", "concept_drift", "accuracy", "slice"};
// Causes that a better model does not cure.
constexpr std::array<std::string_view, 4> kOtherCauses = {"sensor_fault", "data_quality", "silence",
                                                          "annotator_quality"};
constexpr std::array<std::string_view, 5> kTransforms = {"brighten", "darken", "shift", "blur",
                                                         "noise"};

template <std::size_t N>
bool IsOneOf(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

template <std::size_t N>
std::string Listed(const std::array<std::string_view, N>& words) {
  std::string text;
  for (const auto word : words) text += (text.empty() ? "" : ", ") + std::string(word);
  return text;
}

std::string Shown(const std::string& text) { return "\"" + text.substr(0, 80) + "\""; }

bool IsWithin(double value, double low, double high) {
  return std::isfinite(value) && value >= low && value <= high;
}

std::string At(const std::string& key, std::size_t index) {
  return key + "[" + std::to_string(index) + "]";
}

void CheckDistinct(const std::vector<std::string>& values, std::size_t limit,
                   const std::string& key, const std::string& what, SpecProblems& problems) {
  problems.Require(values.size() <= limit, key,
                   "holds at most " + std::to_string(limit) + " " + what + ", not " +
                       std::to_string(values.size()));
  std::set<std::string_view> seen;
  for (const auto& value : values) {
    problems.Require(seen.insert(value).second, key, Shown(value) + " stands there twice");
  }
}

void CheckSliceKeys(const std::vector<std::string>& keys, const std::string& key,
                    SpecProblems& problems) {
  CheckDistinct(keys, kMaxSliceKeys, key, "metadata keys", problems);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    // A slice is called "key=value".
    problems.Require(!keys[i].empty() && keys[i].size() <= kMaxKeyBytes &&
                         keys[i].find('=') == std::string::npos,
                     At(key, i),
                     "is 1 to " + std::to_string(kMaxKeyBytes) +
                         " bytes without an equals sign, not " + Shown(keys[i]));
  }
}

void CheckTest(const ModelTest& test, const std::string& key, SpecProblems& problems) {
  problems.Require(!test.name.empty() && test.name.size() <= kMaxKeyBytes, key + ".name",
                   "is 1 to " + std::to_string(kMaxKeyBytes) + " bytes");
  problems.Require(test.metadata_key.size() <= kMaxKeyBytes, key + ".metadata_key",
                   "is at most " + std::to_string(kMaxKeyBytes) + " bytes");
  problems.Require(test.metadata_value.size() <= 256, key + ".metadata_value",
                   "is at most 256 bytes");
  problems.Require(test.metadata_value.empty() || !test.metadata_key.empty(), key + ".metadata_key",
                   "is needed beside metadata_value");
  problems.Require(IsShare(test.min_share), key + ".min_share", "is 0 to 1");
  if (test.kind == ModelTestKind::kMinimumFunction) {
    problems.Require(!test.metadata_key.empty(), key + ".metadata_key",
                     "is needed: it names the samples that must be answered right");
    problems.Require(test.transform.empty(), key + ".transform",
                     "belongs to tests of invariance and direction");
    return;
  }
  if (!IsOneOf(test.transform, kTransforms)) {
    problems.Require(false, key + ".transform",
                     "is one of " + Listed(kTransforms) + ", not " + Shown(test.transform));
    return;
  }
  const double most = test.transform == "shift" ? 64 : test.transform == "blur" ? 32 : 1;
  problems.Require(
      test.amount > 0 && IsWithin(test.amount, 0, most), key + ".amount",
      "of " + test.transform + " is above 0 and at most " + std::to_string(static_cast<int>(most)));
}

bool IsWebAddress(const std::string& url) {
  const std::size_t begin = url.starts_with("http://")    ? 7
                            : url.starts_with("https://") ? 8
                                                          : std::string::npos;
  if (begin == std::string::npos || url.size() > 2'048) return false;
  const auto host_end = std::min(url.find_first_of("/?#", begin), url.size());
  if (host_end == begin) return false;
  return std::all_of(url.begin(), url.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte < 0x7F;
  });
}

void CheckRollout(const RolloutPolicy& policy, SpecProblems& problems) {
  const std::string key = "cycle.rollout.";
  problems.Require(policy.shadow_predictions <= 1'000'000, key + "shadow_predictions",
                   "is 0 (no shadow) to 1000000");
  problems.Require(IsShare(policy.max_shadow_disagreement), key + "max_shadow_disagreement",
                   "is 0 to 1");
  problems.Require(policy.canary_shares.size() <= kMaxShares, key + "canary_shares",
                   "holds at most 10 shares, not " + std::to_string(policy.canary_shares.size()));
  double before = 0;
  for (std::size_t i = 0; i < policy.canary_shares.size(); ++i) {
    const double share = policy.canary_shares[i];
    problems.Require(std::isfinite(share) && share > 0 && share < 1, At(key + "canary_shares", i),
                     "is above 0 and below 1");
    problems.Require(i == 0 || share > before, At(key + "canary_shares", i),
                     "is above the share before it");
    before = share;
  }
  problems.Require(policy.canary_predictions >= 1 && policy.canary_predictions <= 1'000'000,
                   key + "canary_predictions", "is 1 to 1000000");
  problems.Require(policy.alpha > 0 && IsWithin(policy.alpha, 0, 0.5), key + "alpha",
                   "is above 0 and at most 0.5");
  problems.Require(IsShare(policy.max_accuracy_loss), key + "max_accuracy_loss", "is 0 to 1");
  problems.Require(IsShare(policy.max_error_increase), key + "max_error_increase", "is 0 to 1");
  problems.Require(IsWithin(policy.max_latency_ratio, 1, 1'000), key + "max_latency_ratio",
                   "is 1 to 1000");
  problems.Require(policy.step_seconds > 0 && IsWithin(policy.step_seconds, 0, kSecondsOfAYear),
                   key + "step_seconds", "is above 0 and at most a year");
}

void CheckAcquisition(const CyclePolicy& policy, SpecProblems& problems) {
  double sum = 0;
  for (const auto& [share, key] : {std::pair{policy.acquire_uncertain, "cycle.acquire_uncertain"},
                                   std::pair{policy.acquire_drifted, "cycle.acquire_drifted"},
                                   std::pair{policy.acquire_slice, "cycle.acquire_slice"},
                                   std::pair{policy.acquire_random, "cycle.acquire_random"},
                                   std::pair{policy.acquire_diverse, "cycle.acquire_diverse"}}) {
    problems.Require(IsShare(share), key, "is 0 to 1");
    sum += share;
  }
  // Shares such as 0.1 have no exact form.
  problems.Require(std::abs(sum - 1) < 1e-9, "cycle.acquire_uncertain",
                   "must sum to 1 with acquire_drifted, acquire_slice, acquire_random and "
                   "acquire_diverse");
  problems.Require(IsWithin(policy.review_share, 0, 0.5), "cycle.review_share", "is 0 to 0.5");
  problems.Require(IsShare(policy.acquire_test), "cycle.acquire_test", "is 0 to 1");
  problems.Require(IsShare(policy.acquire_validation), "cycle.acquire_validation", "is 0 to 1");
  problems.Require(policy.acquire_test + policy.acquire_validation < 1, "cycle.acquire_test",
                   "must leave labels for training: below 1 with acquire_validation");
}

}  // namespace

bool IsRoleName(std::string_view name) {
  if (name.empty() || name.size() > kMaxKeyBytes || name.front() < 'a' || name.front() > 'z') {
    return false;
  }
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

void CheckGate(const GatePolicy& policy, SpecProblems& problems) {
  problems.Require(IsShare(policy.min_primary_metric), "gate.min_primary_metric", "is 0 to 1");
  problems.Require(IsShare(policy.min_class_recall), "gate.min_class_recall", "is 0 to 1");
  problems.Require(IsShare(policy.max_loss), "gate.max_loss", "is 0 to 1");
  problems.Require(policy.alpha > 0 && IsWithin(policy.alpha, 0, 0.5), "gate.alpha",
                   "is above 0 and at most 0.5");
  problems.Require(policy.min_samples >= 1 && policy.min_samples <= 1'000'000, "gate.min_samples",
                   "is 1 to 1000000");
  CheckSliceKeys(policy.slice_keys, "gate.slice_keys", problems);
  problems.Require(policy.tests.size() <= kMaxTests, "gate.tests",
                   "holds at most " + std::to_string(kMaxTests) + " tests, not " +
                       std::to_string(policy.tests.size()));
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < policy.tests.size(); ++i) {
    const std::string key = At("gate.tests", i);
    CheckTest(policy.tests[i], key, problems);
    problems.Require(policy.tests[i].name.empty() || names.insert(policy.tests[i].name).second,
                     key + ".name", Shown(policy.tests[i].name) + " stands there twice");
  }
}

void CheckMonitoring(const MonitoringPolicy& policy, SpecProblems& problems) {
  problems.Require(policy.window_predictions >= 10 && policy.window_predictions <= 1'000'000,
                   "monitoring.window_predictions", "is 10 to 1000000");
  problems.Require(policy.window_seconds == 0 || IsWithin(policy.window_seconds, 1, 2'592'000),
                   "monitoring.window_seconds", "is 0 (none) or 1 to 2592000 (30 days)");
  problems.Require(IsWithin(policy.lateness_seconds, 0, 86'400), "monitoring.lateness_seconds",
                   "is 0 to 86400");
  problems.Require(policy.max_false_alarms > 0 && IsWithin(policy.max_false_alarms, 0, 1'000),
                   "monitoring.max_false_alarms", "is above 0 and at most 1000");
  problems.Require(policy.false_alarm_days > 0 && IsWithin(policy.false_alarm_days, 0, 3'650),
                   "monitoring.false_alarm_days", "is above 0 and at most 3650");
  problems.Require(IsWithin(policy.predictions_per_day, 1, 1e12), "monitoring.predictions_per_day",
                   "is 1 to 1e12");
  CheckSliceKeys(policy.slice_keys, "monitoring.slice_keys", problems);
  problems.Require(IsWithin(policy.silence_seconds, 0, kSecondsOfAYear),
                   "monitoring.silence_seconds", "is 0 (never) to a year");
  CheckDistinct(policy.webhooks, kMaxWebhooks, "monitoring.webhooks", "addresses", problems);
  for (std::size_t i = 0; i < policy.webhooks.size(); ++i) {
    problems.Require(
        IsWebAddress(policy.webhooks[i]), At("monitoring.webhooks", i),
        "is an address that begins with http:// or https://, not " + Shown(policy.webhooks[i]));
  }
}

void CheckCapture(const CapturePolicy& policy, SpecProblems& problems) {
  problems.Require(IsShare(policy.random_share), "capture.random_share", "is 0 (off) to 1");
  problems.Require(IsShare(policy.uncertain_below), "capture.uncertain_below", "is 0 (off) to 1");
  problems.Require(
      IsShare(policy.out_of_distribution_quantile) && policy.out_of_distribution_quantile < 1,
      "capture.out_of_distribution_quantile", "is 0 (off) or below 1");
  problems.Require(policy.max_per_minute >= 1 && policy.max_per_minute <= 60'000,
                   "capture.max_per_minute", "is 1 to 60000");
}

void CheckCycle(const CyclePolicy& policy, SpecProblems& problems) {
  CheckDistinct(policy.alert_causes, kCycleCauses.size(), "cycle.alert_causes", "causes", problems);
  for (std::size_t i = 0; i < policy.alert_causes.size(); ++i) {
    const std::string& cause = policy.alert_causes[i];
    const std::string choice = "; a cycle may start by " + Listed(kCycleCauses);
    problems.Require(!IsOneOf(cause, kOtherCauses), At("cycle.alert_causes", i),
                     Shown(cause) + " is nothing that a new model cures" + choice);
    problems.Require(IsOneOf(cause, kCycleCauses) || IsOneOf(cause, kOtherCauses),
                     At("cycle.alert_causes", i), Shown(cause) + " is no known cause" + choice);
  }
  problems.Require(IsShare(policy.min_damage), "cycle.min_damage", "is 0 to 1");
  problems.Require(policy.new_labels <= 10'000'000, "cycle.new_labels", "is 0 (never) to 10000000");
  problems.Require(IsWithin(policy.schedule_hours, 0, 8'760), "cycle.schedule_hours",
                   "is 0 (never) to 8760 (a year)");
  problems.Require(IsWithin(policy.cooldown_seconds, 0, kSecondsOfAYear), "cycle.cooldown_seconds",
                   "is 0 to a year");
  problems.Require(policy.max_labels >= 1 && policy.max_labels <= 10'000, "cycle.max_labels",
                   "is 1 to 10000");
  problems.Require(policy.max_cpu_seconds > 0 && IsWithin(policy.max_cpu_seconds, 0, 1e8),
                   "cycle.max_cpu_seconds", "is above 0 and at most 1e8");
  // Less than one cycle may need would let none start.
  problems.Require(
      policy.max_labels_per_day == 0 || (policy.max_labels_per_day >= policy.max_labels &&
                                         policy.max_labels_per_day <= 10'000'000),
      "cycle.max_labels_per_day", "is 0 (no limit), or cycle.max_labels to 10000000");
  problems.Require(policy.max_cpu_seconds_per_day == 0 ||
                       IsWithin(policy.max_cpu_seconds_per_day, policy.max_cpu_seconds, 1e9),
                   "cycle.max_cpu_seconds_per_day",
                   "is 0 (no limit), or cycle.max_cpu_seconds to 1e9");
  problems.Require(policy.votes_per_sample >= 1 && policy.votes_per_sample <= 100,
                   "cycle.votes_per_sample", "is 1 to 100");
  problems.Require(IsWithin(policy.collect_seconds, 0, kSecondsOfAYear), "cycle.collect_seconds",
                   "is 0 to a year");
  problems.Require(policy.collect_samples >= 1 && policy.collect_samples <= 10'000,
                   "cycle.collect_samples", "is 1 to 10000");
  problems.Require(policy.label_seconds > 0 && IsWithin(policy.label_seconds, 0, kSecondsOfAYear),
                   "cycle.label_seconds", "is above 0 and at most a year");
  CheckAcquisition(policy, problems);
  problems.Require(!policy.recipe.empty() && policy.recipe.size() <= kMaxKeyBytes, "cycle.recipe",
                   "is 1 to " + std::to_string(kMaxKeyBytes) + " bytes");
  problems.Require(policy.epochs <= 10'000, "cycle.epochs", "is 0 (the recipe's own) to 10000");
  problems.Require(policy.new_sample_weight > 0 && IsWithin(policy.new_sample_weight, 0, 1'000),
                   "cycle.new_sample_weight", "is above 0 and at most 1000");
  CheckDistinct(policy.sign_off_roles, kMaxRoles, "cycle.sign_off_roles", "roles", problems);
  for (std::size_t i = 0; i < policy.sign_off_roles.size(); ++i) {
    problems.Require(IsRoleName(policy.sign_off_roles[i]), At("cycle.sign_off_roles", i),
                     "is 1 to 64 of a-z, 0-9, hyphens and underscores, a letter first, not " +
                         Shown(policy.sign_off_roles[i]));
  }
  CheckRollout(policy.rollout, problems);
}

}  // namespace tidewheel::model_registry
