#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/digest.h"
#include "tidewheel/base/result.h"
#include "tidewheel/stats/duplicates.h"
#include "tidewheel/stats/predictive_power.h"
#include "tidewheel/stats/splits.h"

namespace tidewheel::stats {

struct GroupReport {
  std::uint64_t groups = 0;
  std::uint64_t groups_across = 0;    // In more than one split.
  std::uint64_t rows_across = 0;      // Rows of those groups.
  std::vector<std::string> examples;  // Their names in order, the first of them.
};

/// Groups (entities, clusters of near duplicates) that stand in more than one split. O(rows log
/// rows). kInvalidArgument: no rows, different lengths, a split that is none.
Result<GroupReport> FindGroupsAcrossSplits(std::span<const std::string> groups,
                                           std::span<const Split> splits,
                                           std::size_t examples = 100);

struct TimeReport {
  std::int64_t training_ends = 0;      // The latest training row.
  std::int64_t evaluation_begins = 0;  // The earliest row of validation and test.
  std::uint64_t evaluation_rows = 0;
  std::uint64_t rows_before_training_ends =
      0;             // Evaluation rows not after the latest training row.
  double share = 0;  // Of the evaluation rows.
};

/// Whether evaluation rows lie in the time that training covers: a model that has seen tomorrow
/// looks better than it will be. O(rows). kInvalidArgument as above. kFailedPrecondition: no
/// training rows, or nothing else.
Result<TimeReport> FindTimeOverlap(std::span<const std::int64_t> times,
                                   std::span<const Split> splits);

struct IdentifierReport {
  std::uint64_t different = 0;  // Values.
  double share = 0;             // Of the rows.
  bool is_identifier = false;
};

/// A column that names its row: nominal or whole numbers, of which at least `share` are different.
/// A measurement with fractions may be different in every row and is none. O(rows log rows).
/// kInvalidArgument: not one of numbers and codes, fewer than 2 rows, a number that is not finite,
/// a share outside (0, 1].
Result<IdentifierReport> FindIdentifier(const FeatureColumn& feature, double share = 0.95);

/// What is known of the rows; what is not known is left empty. All that is given has one entry a
/// row.
struct LeakageInput {
  std::span<const Split> splits = {};
  std::span<const Digest> digests = {};  // Of the payloads.
  std::span<const Bits128> hashes = {};  // Perceptual.
  std::span<const std::string> groups = {};
  std::span<const std::int64_t> times = {};
  std::span<const FeatureColumn> features = {};
  std::span<const std::int32_t> labels = {};  // Needed for predictive power.
  std::size_t classes = 0;
};

struct LeakagePolicy {
  int near_distance = 6;          // Bits of 128.
  double predictive_power = 0.8;  // A column above it is a finding.
  double identifier_share = 0.95;
  bool split_by_time = false;  // Overlap in time is a finding; else it is only told.
  DuplicateOptions duplicates = {};
  PredictivePowerOptions power = {};
};

struct FeatureReport {
  std::string name;
  std::optional<PredictivePower> power;  // Measured on the training rows.
  IdentifierReport identifier;
};

struct LeakageReport {
  std::optional<DuplicateReport> exact;
  std::optional<DuplicateReport> near;
  std::optional<GroupReport> groups;
  std::optional<TimeReport> times;
  std::vector<FeatureReport> features;
  std::vector<std::string> findings;     // One sentence each; none: nothing was found.
  std::vector<std::string> not_checked;  // What was not looked at, because ...
};

/// Everything that can be checked of what is given; what cannot is named, never left out in
/// silence. A column's predictive power is that on the training rows, so that no test row is looked
/// at. Errors: those of the parts.
Result<LeakageReport> ReportLeakage(const LeakageInput& input, const LeakagePolicy& policy = {});

}  // namespace tidewheel::stats
