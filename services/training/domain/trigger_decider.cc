#include "tidewheel/training/domain/trigger_decider.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace tidewheel::training {
namespace {

constexpr std::array kNeverTrainedOn{"silence", "data_quality", "annotator_quality"};

std::string Text(double number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g", number);
  return text.data();
}

TriggerVerdict Not(std::string because, std::string reason) {
  return {false, std::move(because), std::move(reason)};
}

std::string InWords(const CycleTrigger& trigger) {
  if (trigger.kind == "alert") {
    return "alert of " + trigger.alert_cause + " with an expected damage of " +
           Text(trigger.damage);
  }
  if (trigger.kind == "labels") return "new labels";
  return trigger.kind == "schedule" ? "schedule" : "asked for by hand";
}

}  // namespace

TriggerVerdict DecideTrigger(const CyclePolicy& policy, const CycleTrigger& trigger,
                             const TaskCycles& now, Timestamp at) {
  const bool by_hand = trigger.kind == "hand";
  const bool by_alert = trigger.kind == "alert";
  if (by_alert && trigger.alert_cause == "sensor_fault") {
    return Not("sensor_fault",
               "the inputs are broken: a model trained on them would learn the fault");
  }
  if (!by_hand && !policy.enabled) {
    return Not("disabled", "the task's policy has no cycles");
  }
  if (by_alert) {
    const bool never = std::find(kNeverTrainedOn.begin(), kNeverTrainedOn.end(),
                                 trigger.alert_cause) != kNeverTrainedOn.end();
    if (never) {
      return Not("not_in_policy", "a training does not help against " + trigger.alert_cause);
    }
    const auto& causes = policy.alert_causes;
    if (std::find(causes.begin(), causes.end(), trigger.alert_cause) == causes.end()) {
      return Not("not_in_policy",
                 "the task's policy starts none because of " + trigger.alert_cause);
    }
    if (trigger.damage < policy.min_damage) {
      return Not("harmless", "expected damage " + Text(trigger.damage) + " is below " +
                                 Text(policy.min_damage));
    }
  }
  if (!now.open_cycle_id.empty()) {
    return Not("cycle_running", "cycle " + now.open_cycle_id + " of the task is running");
  }
  if (!by_hand && now.ended_at) {
    const double passed = std::chrono::duration<double>(at - *now.ended_at).count();
    if (passed < policy.cooldown_seconds) {
      return Not("cooldown", "the last cycle ended " + Text(passed) + " s ago, the cooldown is " +
                                 Text(policy.cooldown_seconds) + " s");
    }
  }
  if (!by_hand && policy.max_cpu_seconds <= 0) {
    return Not("budget", "the policy allows no CPU time");
  }
  const bool asks_for_labels = by_alert || trigger.kind == "schedule";
  if (asks_for_labels && policy.max_labels < std::max(policy.votes_per_sample, 1U)) {
    return Not("budget", "the policy allows " + std::to_string(policy.max_labels) +
                             " labels, one sample takes " +
                             std::to_string(std::max(policy.votes_per_sample, 1U)));
  }
  const bool labels_of_day_spent =
      asks_for_labels && policy.max_labels_per_day > 0 &&
      now.labels_of_day + policy.max_labels > policy.max_labels_per_day;
  if (labels_of_day_spent) {
    return Not("budget", std::to_string(now.labels_of_day) + " of " +
                             std::to_string(policy.max_labels_per_day) +
                             " labels of 24 hours are spent, a cycle may need " +
                             std::to_string(policy.max_labels));
  }
  const bool cpu_of_day_spent =
      !by_hand && policy.max_cpu_seconds_per_day > 0 &&
      now.cpu_seconds_of_day + policy.max_cpu_seconds > policy.max_cpu_seconds_per_day;
  if (cpu_of_day_spent) {
    return Not("budget", Text(now.cpu_seconds_of_day) + " of " +
                             Text(policy.max_cpu_seconds_per_day) +
                             " s of CPU time of 24 hours are spent, a cycle may need " +
                             Text(policy.max_cpu_seconds));
  }
  return {true, "", InWords(trigger)};
}

}  // namespace tidewheel::training
