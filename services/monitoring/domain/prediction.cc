#include "tidewheel/monitoring/domain/prediction.h"

#include <array>

namespace tidewheel::monitoring {
namespace {

constexpr std::array<std::string_view, 3> kRoles = {"production", "canary", "shadow"};

}  // namespace

std::string_view Name(Role role) { return kRoles.at(static_cast<std::size_t>(role)); }

std::optional<Role> RoleNamed(std::string_view name) {
  for (std::size_t i = 0; i < kRoles.size(); ++i) {
    if (kRoles[i] == name) return static_cast<Role>(i);
  }
  return std::nullopt;
}

double Tally::MeanConfidence() const {
  if (predictions == 0) return 0;
  return static_cast<double>(confidence_sum) / 1e9 / static_cast<double>(predictions);
}

std::optional<double> Tally::Accuracy() const {
  if (outcomes == 0) return std::nullopt;
  return static_cast<double>(correct) / static_cast<double>(outcomes);
}

}  // namespace tidewheel::monitoring
