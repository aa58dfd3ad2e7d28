#include "tidewheel/monitoring/domain/window_pump.h"

#include <cmath>
#include <limits>
#include <unordered_map>
#include <utility>

namespace tidewheel::monitoring {

void AlignFeatures(const Profile& profile, WindowRows* window) {
  std::unordered_map<std::string, std::size_t> places;
  std::vector<std::string> names;
  for (const auto& feature : profile.features) {
    places.emplace(feature.name, names.size());
    names.push_back(feature.name);
  }
  constexpr auto kUnknown = std::numeric_limits<std::size_t>::max();
  std::vector<std::size_t> to;
  for (const auto& name : window->features) {
    const auto found = places.find(name);
    to.push_back(found == places.end() ? kUnknown : found->second);
  }
  for (auto& row : window->rows) {
    std::vector<double> aligned(names.size(), std::numeric_limits<double>::quiet_NaN());
    for (std::size_t i = 0; i < row.features.size() && i < to.size(); ++i) {
      if (to[i] != kUnknown) {
        aligned[to[i]] = row.features[i];
      } else if (!std::isnan(row.features[i])) {
        row.unknown_features.push_back(window->features[i]);
      }
    }
    row.features = std::move(aligned);
  }
  window->features = std::move(names);
}

Result<bool> WindowPump::CutOnce() {
  const auto cut = store_.Cut();
  if (!cut) return cut.error();
  const auto numbered = store_.NumberOutcomes();
  if (!numbered) return numbered.error();
  return *cut + *numbered > 0;
}

Result<bool> WindowPump::TellOnce() {
  if (listener_ == nullptr) return false;
  const auto told =
      store_.Tell({.window = [this](WindowRows window) { return TellWindow(std::move(window)); },
                   .outcomes = [this](const WindowRows& rows,
                                      std::uint64_t first) { return TellOutcomes(rows, first); }});
  if (!told) return told.error();
  return *told > 0;
}

Result<void> WindowPump::TellWindow(WindowRows window) {
  const auto policy = PolicyOrDefault(policies_, window.model.task);
  if (!policy) return policy.error();
  const auto profile = profiles_.ProfileOf(window.model);
  if (!profile) return profile.error();
  if (*profile) {
    AlignFeatures(**profile, &window);
    if (window.before != nullptr) {
      WindowRows before = *window.before;
      AlignFeatures(**profile, &before);
      window.before = std::make_shared<const WindowRows>(std::move(before));
    }
  }
  const auto told = listener_->OnWindow(window, profile->get(), *policy);
  if (told) counters_.windows.Add(1);
  return told;
}

Result<void> WindowPump::TellOutcomes(const WindowRows& rows, std::uint64_t first_number) {
  const auto policy = PolicyOrDefault(policies_, rows.model.task);
  if (!policy) return policy.error();
  const auto profile = profiles_.ProfileOf(rows.model);
  if (!profile) return profile.error();
  WindowRows aligned = rows;
  if (*profile) AlignFeatures(**profile, &aligned);
  const auto told = listener_->OnOutcomes(aligned.model, aligned.classes, aligned.rows,
                                          first_number, profile->get(), *policy);
  if (told) counters_.outcomes.Add(static_cast<double>(rows.rows.size()));
  return told;
}

}  // namespace tidewheel::monitoring
