#include "tidewheel/model_registry/declaration/policy_yaml.h"

#include <string_view>
#include <utility>
#include <vector>

#include "tidewheel/model_registry/declaration/yaml_text.h"

namespace tidewheel::model_registry {
namespace {

using config::YamlNode;

const std::vector<std::pair<std::string, ModelTestKind>> kTestKinds = {
    {"minimum_function", ModelTestKind::kMinimumFunction},
    {"invariance", ModelTestKind::kInvariance},
    {"direction", ModelTestKind::kDirection}};

void ReadGate(const YamlNode& node, GatePolicy* policy) {
  node.Read("max_loss", &policy->max_loss);
  node.Read("alpha", &policy->alpha);
  node.Read("min_samples", &policy->min_samples);
  node.Read("require_better_on_new", &policy->require_better_on_new);
  node.Read("slice_keys", &policy->slice_keys);
  for (const YamlNode& item : node.Field("tests").Items()) {
    ModelTest test;
    item.Require("name", &test.name);
    if (!item.Has("kind")) item.Field("kind").Fail("is needed");
    item.ReadEnum("kind", &test.kind, kTestKinds);
    item.Read("metadata_key", &test.metadata_key);
    item.Read("metadata_value", &test.metadata_value);
    item.Read("transform", &test.transform);
    item.Read("amount", &test.amount);
    item.Read("min_share", &test.min_share);
    policy->tests.push_back(std::move(test));
  }
}

void ReadMonitoring(const YamlNode& node, MonitoringPolicy* policy) {
  node.Read("window_seconds", &policy->window_seconds);
  node.Read("lateness_seconds", &policy->lateness_seconds);
  node.Read("max_false_alarms", &policy->max_false_alarms);
  node.Read("false_alarm_days", &policy->false_alarm_days);
  node.Read("predictions_per_day", &policy->predictions_per_day);
  node.Read("slice_keys", &policy->slice_keys);
  node.Read("silence_seconds", &policy->silence_seconds);
  node.Read("webhooks", &policy->webhooks);
}

void ReadCapture(const YamlNode& node, CapturePolicy* policy) {
  node.Read("random_share", &policy->random_share);
  node.Read("uncertain_below", &policy->uncertain_below);
  node.Read("out_of_distribution_quantile", &policy->out_of_distribution_quantile);
  node.Read("max_per_minute", &policy->max_per_minute);
}

void ReadRollout(const YamlNode& node, RolloutPolicy* policy) {
  node.Read("shadow_predictions", &policy->shadow_predictions);
  node.Read("max_shadow_disagreement", &policy->max_shadow_disagreement);
  node.Read("canary_shares", &policy->canary_shares);
  node.Read("canary_predictions", &policy->canary_predictions);
  node.Read("alpha", &policy->alpha);
  node.Read("max_accuracy_loss", &policy->max_accuracy_loss);
  node.Read("max_error_increase", &policy->max_error_increase);
  node.Read("max_latency_ratio", &policy->max_latency_ratio);
  node.Read("step_seconds", &policy->step_seconds);
}

void ReadCycle(const YamlNode& node, CyclePolicy* policy) {
  node.Read("enabled", &policy->enabled);
  node.Read("alert_causes", &policy->alert_causes);
  node.Read("min_damage", &policy->min_damage);
  node.Read("new_labels", &policy->new_labels);
  node.Read("schedule_hours", &policy->schedule_hours);
  node.Read("cooldown_seconds", &policy->cooldown_seconds);
  node.Read("max_labels", &policy->max_labels);
  node.Read("max_cpu_seconds", &policy->max_cpu_seconds);
  node.Read("max_labels_per_day", &policy->max_labels_per_day);
  node.Read("max_cpu_seconds_per_day", &policy->max_cpu_seconds_per_day);
  node.Read("votes_per_sample", &policy->votes_per_sample);
  node.Read("review_share", &policy->review_share);
  node.Read("collect_seconds", &policy->collect_seconds);
  node.Read("collect_samples", &policy->collect_samples);
  node.Read("label_seconds", &policy->label_seconds);
  node.Read("acquire_test", &policy->acquire_test);
  node.Read("acquire_validation", &policy->acquire_validation);
  node.Read("acquire_uncertain", &policy->acquire_uncertain);
  node.Read("acquire_drifted", &policy->acquire_drifted);
  node.Read("acquire_slice", &policy->acquire_slice);
  node.Read("acquire_random", &policy->acquire_random);
  node.Read("acquire_diverse", &policy->acquire_diverse);
  node.Read("recipe", &policy->recipe);
  node.Read("seed", &policy->seed);
  node.Read("epochs", &policy->epochs);
  node.Read("new_sample_weight", &policy->new_sample_weight);
  node.Read("sign_off_roles", &policy->sign_off_roles);
  ReadRollout(node.Field("rollout"), &policy->rollout);
}

/// Lines "key: value" at one depth.
class Lines {
 public:
  explicit Lines(std::string indent) : indent_(std::move(indent)) {}

  Lines& Add(std::string_view key, const std::string& value) {
    text_ += indent_ + std::string(key) + ": " + value + "\n";
    return *this;
  }
  Lines& Add(std::string_view key, double value) { return Add(key, Number(value)); }
  Lines& Add(std::string_view key, bool value) {
    return Add(key, std::string(value ? "true" : "false"));
  }
  Lines& Add(std::string_view key, std::uint32_t value) { return Add(key, std::to_string(value)); }
  Lines& Add(std::string_view key, std::uint64_t value) { return Add(key, std::to_string(value)); }

  const std::string& text() const { return text_; }

 private:
  const std::string indent_;
  std::string text_;
};

std::string PrintGate(const GatePolicy& policy) {
  GatePolicy plain;
  plain.primary_metric = policy.primary_metric;
  plain.min_primary_metric = policy.min_primary_metric;
  plain.min_class_recall = policy.min_class_recall;
  if (policy == plain) return {};
  Lines lines("  ");
  lines.Add("max_loss", policy.max_loss)
      .Add("alpha", policy.alpha)
      .Add("min_samples", policy.min_samples)
      .Add("require_better_on_new", policy.require_better_on_new)
      .Add("slice_keys", Texts(policy.slice_keys));
  if (policy.tests.empty()) return lines.text() + "  tests: []\n";
  std::string text = lines.text() + "  tests:\n";
  for (const auto& test : policy.tests) {
    text += "    - name: " + Quoted(test.name) + "\n";
    text += Lines("      ")
                .Add("kind", NameOf(test.kind, kTestKinds))
                .Add("metadata_key", Quoted(test.metadata_key))
                .Add("metadata_value", Quoted(test.metadata_value))
                .Add("transform", Quoted(test.transform))
                .Add("amount", test.amount)
                .Add("min_share", test.min_share)
                .text();
  }
  return text;
}

std::string PrintMonitoring(const MonitoringPolicy& policy) {
  MonitoringPolicy plain;
  plain.window_predictions = policy.window_predictions;
  if (policy == plain) return {};
  return Lines("  ")
      .Add("window_seconds", policy.window_seconds)
      .Add("lateness_seconds", policy.lateness_seconds)
      .Add("max_false_alarms", policy.max_false_alarms)
      .Add("false_alarm_days", policy.false_alarm_days)
      .Add("predictions_per_day", policy.predictions_per_day)
      .Add("slice_keys", Texts(policy.slice_keys))
      .Add("silence_seconds", policy.silence_seconds)
      .Add("webhooks", Texts(policy.webhooks))
      .text();
}

std::string PrintCapture(const CapturePolicy& policy) {
  if (policy == CapturePolicy()) return {};
  return "capture:\n" +
         Lines("  ")
             .Add("random_share", policy.random_share)
             .Add("uncertain_below", policy.uncertain_below)
             .Add("out_of_distribution_quantile", policy.out_of_distribution_quantile)
             .Add("max_per_minute", policy.max_per_minute)
             .text();
}

std::string PrintCycle(const CyclePolicy& policy) {
  if (policy == CyclePolicy()) return {};
  // What tasks did not name before there was such a thing is not printed: their digest stays.
  Lines newer("  ");
  if (policy.max_labels_per_day > 0) newer.Add("max_labels_per_day", policy.max_labels_per_day);
  if (policy.review_share > 0) newer.Add("review_share", policy.review_share);
  if (policy.max_cpu_seconds_per_day > 0) {
    newer.Add("max_cpu_seconds_per_day", policy.max_cpu_seconds_per_day);
  }
  return "cycle:\n" +
         Lines("  ")
             .Add("enabled", policy.enabled)
             .Add("alert_causes", Texts(policy.alert_causes))
             .Add("min_damage", policy.min_damage)
             .Add("new_labels", policy.new_labels)
             .Add("schedule_hours", policy.schedule_hours)
             .Add("cooldown_seconds", policy.cooldown_seconds)
             .Add("max_labels", policy.max_labels)
             .Add("max_cpu_seconds", policy.max_cpu_seconds)
             .Add("votes_per_sample", policy.votes_per_sample)
             .Add("collect_seconds", policy.collect_seconds)
             .Add("collect_samples", policy.collect_samples)
             .Add("label_seconds", policy.label_seconds)
             .Add("acquire_test", policy.acquire_test)
             .Add("acquire_validation", policy.acquire_validation)
             .Add("acquire_uncertain", policy.acquire_uncertain)
             .Add("acquire_drifted", policy.acquire_drifted)
             .Add("acquire_slice", policy.acquire_slice)
             .Add("acquire_random", policy.acquire_random)
             .Add("acquire_diverse", policy.acquire_diverse)
             .Add("recipe", Quoted(policy.recipe))
             .Add("seed", policy.seed)
             .Add("epochs", policy.epochs)
             .Add("new_sample_weight", policy.new_sample_weight)
             .Add("sign_off_roles", Texts(policy.sign_off_roles))
             .text() +
         newer.text() + "  rollout:\n" +
         Lines("    ")
             .Add("shadow_predictions", policy.rollout.shadow_predictions)
             .Add("max_shadow_disagreement", policy.rollout.max_shadow_disagreement)
             .Add("canary_shares", Numbers(policy.rollout.canary_shares))
             .Add("canary_predictions", policy.rollout.canary_predictions)
             .Add("alpha", policy.rollout.alpha)
             .Add("max_accuracy_loss", policy.rollout.max_accuracy_loss)
             .Add("max_error_increase", policy.rollout.max_error_increase)
             .Add("max_latency_ratio", policy.rollout.max_latency_ratio)
             .Add("step_seconds", policy.rollout.step_seconds)
             .text();
}

}  // namespace

void ReadPolicies(const YamlNode& root, TaskSpec* spec) {
  ReadGate(root.Field("gate"), &spec->gate);
  ReadMonitoring(root.Field("monitoring"), &spec->monitoring);
  ReadCapture(root.Field("capture"), &spec->capture);
  ReadCycle(root.Field("cycle"), &spec->cycle);
}

PolicyLines PrintPolicies(const TaskSpec& spec) {
  return {PrintGate(spec.gate), PrintMonitoring(spec.monitoring),
          PrintCapture(spec.capture) + PrintCycle(spec.cycle)};
}

}  // namespace tidewheel::model_registry
