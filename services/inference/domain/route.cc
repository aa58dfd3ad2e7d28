#include "tidewheel/inference/domain/route.h"

#include "tidewheel/base/random.h"
#include "tidewheel/inference/domain/unit_hash.h"

namespace tidewheel::inference {

std::string_view Name(Role role) {
  switch (role) {
    case Role::kProduction:
      return "production";
    case Role::kCanary:
      return "canary";
    case Role::kShadow:
      return "shadow";
  }
  return "production";
}

Role Route::RoleOf(std::string_view task, std::string_view key) const {
  if (!has_canary()) return Role::kProduction;
  // Salted, so that the same clients are not the ones who try the candidates of every task.
  return UnitHash(key, StableHash(task)) < share ? Role::kCanary : Role::kProduction;
}

}  // namespace tidewheel::inference
