#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/digest.h"
#include "tidewheel/base/ids.h"
#include "tidewheel/base/result.h"

namespace tidewheel::curation {

struct SampleTag;
using SampleId = StrongId<SampleTag>;
struct LabelTag;
using LabelId = StrongId<LabelTag>;
struct DatasetVersionTag;
using DatasetVersionId = StrongId<DatasetVersionTag>;

enum class Split { kTraining, kValidation, kTest };

/// "training", "validation", "test".
std::string_view Name(Split split);
/// kInvalidArgument names the word and the three splits.
Result<Split> ParseSplit(std::string_view name);

enum class ClassWeighting { kNone, kInverseFrequency, kEffectiveNumber, kRootInverseFrequency };

/// "none", "inverse-frequency", "effective-number".
std::string_view Name(ClassWeighting weighting);
Result<ClassWeighting> ParseClassWeighting(std::string_view name);

/// What makes a dataset version, completely.
struct DatasetRecipe {
  std::string task;
  ClassWeighting class_weighting = ClassWeighting::kInverseFrequency;
  std::optional<double> min_confidence{};  // Nothing: as the task says.
  std::vector<std::string> sources{};      // Empty: all.
  std::optional<Timestamp> added_until{};  // Nothing: all there is now.
  /// Training samples that this version does not hold weigh `new_sample_weight` times as much.
  DatasetVersionId previous_dataset_version_id{};  // Empty: none is new.
  double new_sample_weight = 1;
};

struct ClassCount {
  std::string class_name;
  std::uint64_t training = 0;
  std::uint64_t validation = 0;
  std::uint64_t test = 0;
  double weight = 1;  // Of each training sample of this class.
};

struct SplitReport {
  std::vector<ClassCount> classes;  // In the task's order.
  std::uint64_t training = 0;
  std::uint64_t validation = 0;
  std::uint64_t test = 0;
  double imbalance = 0;  // Largest class over smallest in the training split.
  std::uint64_t groups_across_splits = 0;
  std::uint64_t equal_payloads_across_splits = 0;  // Pairs.
  std::uint64_t unlabeled = 0;
  std::uint64_t low_confidence = 0;
  std::uint64_t deactivated = 0;
};

/// An immutable list of samples with label, split and weight.
struct DatasetVersion {
  DatasetVersionId dataset_version_id;
  std::string task;
  std::uint32_t version = 0;  // Counts from 1 within the task.
  Digest digest;              // SHA-256 of the manifest.
  DatasetRecipe recipe;       // With the task's policy filled in.
  SplitReport report;
  std::uint64_t items = 0;
  std::uint64_t votes = 0;  // Behind its labels when it was built.
  std::string manifest_ref;
  std::string description;
  Timestamp built_at{};
  std::string built_by;
  std::uint32_t task_version = 0;
};

struct DatasetItem {
  std::uint64_t ordinal = 0;  // From 0, in the order of digests.
  SampleId sample_id;
  Digest sha256;
  std::string class_name;
  Split split = Split::kTraining;
  double weight = 1;
  LabelId label_id;
  double label_confidence = 0;
};

}  // namespace tidewheel::curation
