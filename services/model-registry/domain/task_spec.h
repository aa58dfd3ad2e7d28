#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/model_registry/domain/spec_problems.h"
#include "tidewheel/model_registry/domain/task_policies.h"

namespace tidewheel::model_registry {

enum class Modality { kImage };
enum class ResizeMode { kStretch, kFitPad };
enum class ConsensusMethod { kMajority, kDawidSkene };

/// What is done to a decoded picture before a model sees it.
struct Preprocessing {
  std::uint32_t width = 32;    // Pixels.
  std::uint32_t height = 32;   // Pixels.
  std::uint32_t channels = 3;  // 1 or 3.
  ResizeMode resize = ResizeMode::kStretch;
  std::vector<double> mean;  // One per channel, on the scale of 0 to 1.
  std::vector<double> std;

  friend bool operator==(const Preprocessing&, const Preprocessing&) = default;
};

/// Which samples are set aside on arrival. The measures and the defaults are those of libs/vision.
/// A limit of 0 switches its rule off, but for the first two, which bound what a sample may cost.
struct QualityRules {
  std::uint64_t max_payload_bytes = 16ULL << 20;
  std::uint64_t max_pixels = 40'000'000;
  std::uint32_t min_side = 8;         // Pixels, of the shorter side.
  std::uint32_t max_side = 16'384;    // Pixels, of the longer side.
  double min_mean_luminance = 0.02;   // 0 (black) to 1 (white).
  double max_mean_luminance = 0.975;  // 0 (black) to 1 (white).
  double max_dark_share = 0.995;      // Of pixels with a luminance of at most 16 of 255.
  double max_bright_share = 0.98;     // Of pixels with a luminance of at least 239 of 255.
  double min_sharpness = 0.06;  // Variance of the Laplacian over that of the luminance, 0 to 20.
  std::int32_t near_duplicate_quarantine_distance = 0;  // Bits of 128; -1 is off.
  std::int32_t near_duplicate_group_distance = 6;       // Bits of 128; -1 is off.

  friend bool operator==(const QualityRules&, const QualityRules&) = default;
};

struct SplitPolicy {
  double validation_share = 0.15;
  double test_share = 0.15;
  std::uint64_t seed = 1;
  std::string metadata_key;  // Empty: the hash alone decides.

  friend bool operator==(const SplitPolicy&, const SplitPolicy&) = default;
};

struct LabelPolicy {
  ConsensusMethod method = ConsensusMethod::kDawidSkene;
  std::uint32_t min_votes = 1;
  double min_confidence = 0.5;

  friend bool operator==(const LabelPolicy&, const LabelPolicy&) = default;
};

/// One learning problem with every default filled in.
struct TaskSpec {
  std::string name;
  std::string description;
  Modality modality = Modality::kImage;
  std::vector<std::string> classes;
  Preprocessing preprocessing;
  QualityRules quality;
  SplitPolicy splits;
  LabelPolicy labels;
  GatePolicy gate;
  MonitoringPolicy monitoring;
  CapturePolicy capture;
  CyclePolicy cycle;

  friend bool operator==(const TaskSpec&, const TaskSpec&) = default;
};

/// Every rule a spec breaks; empty when it is good.
std::vector<SpecProblem> Validate(const TaskSpec& spec);

/// A task name: lower case, digits and hyphens, 1 to 63 characters, a letter first.
bool IsTaskName(std::string_view name);

/// One stored version of a task.
struct Task {
  TaskSpec spec;
  std::uint32_t version = 0;  // Counts from 1.
  Timestamp applied_at{};
  std::string applied_by;
  std::string digest;  // SHA-256 of the canonical YAML.
  std::string yaml;    // As it was applied.
};

}  // namespace tidewheel::model_registry
