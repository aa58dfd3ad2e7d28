#include "tidewheel/model_registry/domain/task_spec.h"

#include <cmath>
#include <set>
#include <string_view>

namespace tidewheel::model_registry {
namespace {

constexpr std::size_t kMaxClasses = 1'000;
constexpr std::size_t kMaxNameBytes = 128;
constexpr std::uint32_t kMaxModelSide = 1'024;

void CheckClasses(const TaskSpec& spec, SpecProblems& problems) {
  problems.Require(spec.classes.size() >= 2 && spec.classes.size() <= kMaxClasses, "classes",
                   "needs 2 to " + std::to_string(kMaxClasses) + " names, has " +
                       std::to_string(spec.classes.size()));
  std::set<std::string_view> seen;
  for (const auto& name : spec.classes) {
    problems.Require(!name.empty() && name.size() <= kMaxNameBytes, "classes",
                     "a class name has 1 to " + std::to_string(kMaxNameBytes) + " bytes");
    problems.Require(seen.insert(name).second, "classes", "\"" + name + "\" stands there twice");
  }
}

void CheckPreprocessing(const Preprocessing& spec, SpecProblems& problems) {
  for (const auto& [side, key] : {std::pair{spec.width, "preprocessing.width"},
                                  std::pair{spec.height, "preprocessing.height"}}) {
    problems.Require(
        side >= 1 && side <= kMaxModelSide, key,
        "is 1 to " + std::to_string(kMaxModelSide) + " pixels, not " + std::to_string(side));
  }
  problems.Require(spec.channels == 1 || spec.channels == 3, "preprocessing.channels",
                   "is 1 (grey) or 3 (colour), not " + std::to_string(spec.channels));
  for (const auto& [values, key] :
       {std::pair{&spec.mean, "preprocessing.mean"}, std::pair{&spec.std, "preprocessing.std"}}) {
    problems.Require(values->size() == spec.channels, key,
                     "needs one number per channel (" + std::to_string(spec.channels) + "), has " +
                         std::to_string(values->size()));
    for (const double value : *values) {
      problems.Require(std::isfinite(value), key, "is not a finite number");
    }
  }
  for (const double value : spec.std) {
    problems.Require(value > 0, "preprocessing.std", "is above 0");
  }
}

void CheckQuality(const QualityRules& rules, SpecProblems& problems) {
  problems.Require(rules.max_payload_bytes >= 1 && rules.max_payload_bytes <= (32ULL << 20),
                   "quality.max_payload_bytes", "is 1 to 33554432 bytes (32 MiB)");
  problems.Require(rules.max_pixels >= 1 && rules.max_pixels <= 200'000'000, "quality.max_pixels",
                   "is 1 to 200000000");
  problems.Require(rules.max_side <= 65'535, "quality.max_side", "is 0 (off) to 65535 pixels");
  problems.Require(rules.max_side == 0 || rules.min_side <= rules.max_side, "quality.min_side",
                   "is at most quality.max_side");
  for (const auto& [value, key] :
       {std::pair{rules.min_mean_luminance, "quality.min_mean_luminance"},
        std::pair{rules.max_mean_luminance, "quality.max_mean_luminance"},
        std::pair{rules.max_dark_share, "quality.max_dark_share"},
        std::pair{rules.max_bright_share, "quality.max_bright_share"}}) {
    problems.Require(IsShare(value), key, "is 0 (off) to 1");
  }
  problems.Require(
      std::isfinite(rules.min_sharpness) && rules.min_sharpness >= 0 && rules.min_sharpness <= 20,
      "quality.min_sharpness", "is 0 (off) to 20");
  for (const auto& [bits, key] :
       {std::pair{rules.near_duplicate_quarantine_distance,
                  "quality.near_duplicate_quarantine_distance"},
        std::pair{rules.near_duplicate_group_distance, "quality.near_duplicate_group_distance"}}) {
    problems.Require(bits >= -1 && bits <= 8, key, "is -1 (off) to 8 bits");
  }
}

}  // namespace

bool IsTaskName(std::string_view name) {
  if (name.empty() || name.size() > 63 || name.front() < 'a' || name.front() > 'z') return false;
  for (const char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
  }
  return true;
}

std::vector<SpecProblem> Validate(const TaskSpec& spec) {
  SpecProblems problems;
  problems.Require(IsTaskName(spec.name), "task",
                   "is 1 to 63 of a-z, 0-9 and hyphens, a letter first, not \"" +
                       spec.name.substr(0, 80) + "\"");
  problems.Require(spec.description.size() <= 4'096, "description", "is at most 4096 bytes");
  CheckClasses(spec, problems);
  CheckPreprocessing(spec.preprocessing, problems);
  CheckQuality(spec.quality, problems);

  problems.Require(IsShare(spec.splits.validation_share), "splits.validation_share", "is 0 to 1");
  problems.Require(IsShare(spec.splits.test_share), "splits.test_share", "is 0 to 1");
  problems.Require(spec.splits.validation_share + spec.splits.test_share < 1,
                   "splits.validation_share", "leaves nothing for training");
  problems.Require(spec.splits.metadata_key.size() <= 64, "splits.metadata_key",
                   "is at most 64 bytes");
  problems.Require(spec.labels.min_votes >= 1 && spec.labels.min_votes <= 1'000, "labels.min_votes",
                   "is 1 to 1000");
  problems.Require(IsShare(spec.labels.min_confidence), "labels.min_confidence", "is 0 to 1");
  CheckGate(spec.gate, problems);
  CheckMonitoring(spec.monitoring, problems);
  CheckCapture(spec.capture, problems);
  CheckCycle(spec.cycle, problems);
  return problems.Take();
}

}  // namespace tidewheel::model_registry
