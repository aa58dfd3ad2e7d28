#include "tidewheel/monitoring/domain/observer.h"

#include <algorithm>

namespace tidewheel::monitoring {
namespace {

constexpr std::size_t kLongestSlice = 200;  // Bytes of "key=value".
constexpr std::size_t kMostSliceKeys = 8;

template <typename Facts>
Result<Policies> PoliciesFor(PolicySource& source, const Facts& facts) {
  Policies policies;
  for (const auto& fact : facts) {
    const std::string& task = fact.model.task;
    if (policies.contains(task)) continue;
    auto policy = PolicyOrDefault(source, task);
    if (!policy) return policy.error();
    policies.emplace(task, *std::move(policy));
  }
  return policies;
}

}  // namespace

Result<MonitoringPolicy> PolicyOrDefault(PolicySource& policies, const std::string& task) {
  auto policy = policies.Policy(task);
  if (!policy && policy.error().code == ErrorCode::kNotFound) return MonitoringPolicy{};
  return policy;
}

std::vector<std::string> SlicesOf(const std::map<std::string, std::string>& metadata,
                                  const std::vector<std::string>& keys) {
  std::vector<std::string> slices;
  if (metadata.empty()) return slices;
  for (const auto& key : keys) {
    if (slices.size() == kMostSliceKeys) break;
    const auto found = metadata.find(key);
    if (found == metadata.end()) continue;
    slices.push_back((key + "=" + found->second).substr(0, kLongestSlice));
  }
  return slices;
}

Result<void> Observer::Observe(std::vector<Prediction> predictions) {
  const auto policies = PoliciesFor(policies_, predictions);
  if (!policies) return policies.error();
  for (auto& prediction : predictions) {
    prediction.slices =
        SlicesOf(prediction.metadata, policies->at(prediction.model.task).slice_keys);
  }
  const auto added = store_.AddPredictions(predictions, *policies);
  if (!added) return added.error();
  counters_.predictions.Add(static_cast<double>(*added));
  return {};
}

Result<void> Observer::Observe(std::span<const Failure> failures) {
  const auto policies = PoliciesFor(policies_, failures);
  if (!policies) return policies.error();
  const auto added = store_.AddFailures(failures, *policies);
  if (!added) return added.error();
  counters_.failures.Add(static_cast<double>(*added));
  return {};
}

Result<void> Observer::Observe(std::span<const Outcome> outcomes) {
  const auto added = store_.AddOutcomes(outcomes);
  if (!added) return added.error();
  counters_.outcomes.Add(static_cast<double>(*added));
  return {};
}

}  // namespace tidewheel::monitoring
