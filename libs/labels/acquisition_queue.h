#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::labels {

/// One opinion of what to label next.
struct AcquisitionSource {
  std::string name = {};
  std::span<const double> scores = {};  // One a candidate, finite; the larger, the sooner.
  double share = 1;                     // Of the queue, beside the other sources; above 0.
};

/// At least so many items of a slice, if it has them.
struct SliceQuota {
  std::int32_t slice = 0;
  std::size_t at_least = 0;
};

struct QueueRequest {
  std::size_t candidates = 0;
  std::size_t budget = 0;      // Items.
  double control_share = 0.1;  // Of the queue, above 0, at most 1; rounded up.
  std::span<const AcquisitionSource> sources = {};
  /// Cluster of near duplicates of each candidate; below 0: it has none. Empty: nobody has.
  std::span<const std::int64_t> clusters = {};
  /// Clusters of which something is labeled or queued already: their candidates are left out.
  std::span<const std::int64_t> closed_clusters = {};
  std::span<const std::int32_t> slices = {};  // Slice of each candidate; needed for quotas.
  std::span<const SliceQuota> quotas = {};
  std::uint64_t seed = 1;
};

enum class QueueReason { kControl, kQuota, kSource };

struct QueuedItem {
  std::uint32_t candidate = 0;
  QueueReason reason = QueueReason::kSource;
  std::int32_t source = -1;  // Its place among the sources; -1 for the others.
  double score = 0;          // That source's; of a quota the mean rank, 0 to 1; of the control 0.
  /// That the candidate came into the random control, known before anything was drawn. 0 for who is
  /// not of the control.
  double inclusion_probability = 0;
};

struct UnmetQuota {
  std::int32_t slice = 0;
  std::size_t missing = 0;
};

struct LabelingQueue {
  std::vector<QueuedItem> items;  // In the order of labeling; the control is spread evenly over it.
  std::size_t control = 0;        // Items of it.
  std::uint64_t population =
      0;                       // Candidates for whom the control speaks: all that are not left out.
  std::uint64_t left_out = 0;  // Candidates of closed clusters.
  std::vector<UnmetQuota> unmet;
};

/// Who is labeled next. First the random control: so many clusters (a candidate without one is its
/// own), each equally likely, and of each one member, each equally likely; the probability of a
/// candidate is (clusters drawn / clusters) / (members of its cluster). Then the quotas, by the
/// sources' mean rank (weighted by their shares); then the sources, whose shares of the rest are
/// exact by largest remainder, take turns, each its best. Of equal scores the first candidate; of a
/// cluster never two. The queue has `budget` items, or one of each open cluster if these are fewer.
/// Deterministic in the request. O(candidates x log candidates x sources).
///
/// kInvalidArgument: no candidates, no budget, a share out of range, no sources beside a control of
/// less than everything, different lengths, a score that is not finite (source and candidate), a
/// slice with two quotas, quotas without slices or of more than the budget.
Result<LabelingQueue> BuildLabelingQueue(const QueueRequest& request);

}  // namespace tidewheel::labels
