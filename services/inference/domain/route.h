#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "tidewheel/base/clock.h"
#include "tidewheel/inference/domain/capture_policy.h"
#include "tidewheel/inference/domain/quality_rules.h"
#include "tidewheel/inference/domain/served_model.h"

namespace tidewheel::inference {

/// As what a version answers.
enum class Role { kProduction, kCanary, kShadow };
inline constexpr std::array kRoles = {Role::kProduction, Role::kCanary, Role::kShadow};
/// "production", "canary", "shadow".
std::string_view Name(Role role);

/// A model in memory and how it fares, whatever its role. Thread-safe.
class LoadedVersion {
 public:
  LoadedVersion(std::shared_ptr<const ServedModel> model, Timestamp loaded_at)
      : model_(std::move(model)), loaded_at_(loaded_at) {}

  const ServedModel& model() const { return *model_; }
  const ModelIdentity& identity() const { return model_->identity(); }
  Timestamp loaded_at() const { return loaded_at_; }

  void CountPredictions(std::uint64_t predictions) const {
    predictions_.fetch_add(predictions, std::memory_order_relaxed);
  }
  std::uint64_t predictions() const { return predictions_.load(std::memory_order_relaxed); }

 private:
  const std::shared_ptr<const ServedModel> model_;
  const Timestamp loaded_at_;
  mutable std::atomic<std::uint64_t> predictions_ = 0;
};

/// Who answers a task's requests, and what is done with them besides. Never changed once it is in
/// the table: a change is another route.
struct Route {
  std::shared_ptr<const LoadedVersion> production;  // Never null in the table.
  std::shared_ptr<const LoadedVersion> candidate;   // Null: none.
  Role candidate_role = Role::kShadow;              // kCanary or kShadow.
  double share = 0;                                 // Of the requests, for a canary.
  CapturePolicy capture;
  QualityRules quality;

  bool has_canary() const { return candidate != nullptr && candidate_role == Role::kCanary; }
  bool has_shadow() const { return candidate != nullptr && candidate_role == Role::kShadow; }

  /// kCanary for the keys whose place lies below the share, else kProduction. A key's place depends
  /// on the task and the key alone: it stays where it is while the share stays, and what was in
  /// stays in while the share grows.
  Role RoleOf(std::string_view task, std::string_view key) const;

  friend bool operator==(const Route&, const Route&) = default;
};

}  // namespace tidewheel::inference
