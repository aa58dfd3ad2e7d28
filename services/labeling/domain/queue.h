#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/ids.h"
#include "tidewheel/labeling/domain/vote.h"

namespace tidewheel::labeling {

struct QueueItemTag;
using QueueItemId = StrongId<QueueItemTag>;
struct LeaseTag;
using LeaseId = StrongId<LeaseTag>;

/// A sample that somebody wants votes on.
struct NewQueueItem {
  SampleId sample_id{};
  double priority = 0;   // Higher is sooner.
  std::string reason{};  // "uncertain", "drifted" and so on: the caller's words.
};

/// Samples that are queued together.
struct NewBatch {
  std::string batch_id{};
  std::string task{};
  std::vector<NewQueueItem> items{};
  std::uint32_t votes_wanted = 1;  // Of each sample.
  std::uint32_t max_votes = 0;     // Of the whole batch; 0: no limit.
  double gold_share = 0;           // Known samples for each that is asked.
  bool ask_again = false;          // Also those that have a label.
};

enum class BatchState { kOpen, kComplete, kCancelled };
/// "open", "complete", "cancelled".
std::string_view Name(BatchState state);

struct Batch {
  std::uint64_t number = 0;  // Rises in the order of queueing.
  std::string batch_id{};
  std::string task{};
  std::uint32_t items = 0;     // Without the known ones.
  std::uint32_t answered = 0;  // Of `items`: have all their votes.
  std::uint32_t unjudged = 0;  // Of `items`: could not be judged.
  std::uint32_t gold_items = 0;
  std::uint32_t votes = 0;  // Answers to known ones too.
  std::uint32_t votes_wanted = 1;
  std::uint32_t labels = 0;  // In force, of its samples.
  BatchState state = BatchState::kOpen;
  Timestamp queued_at{};
  std::optional<Timestamp> completed_at{};
  std::string cancelled_because{};
};

enum class ItemState { kWaiting, kLeased, kAnswered, kUnjudged, kCancelled };
/// "waiting", "leased", "answered", "unjudged", "cancelled".
std::string_view Name(ItemState state);
std::optional<ItemState> ParseItemState(std::string_view name);

/// A queued sample; the last three are of the lease that ends last, where one is open.
struct QueueItem {
  std::uint64_t number = 0;
  QueueItemId item_id{};
  std::string batch_id{};
  std::string task{};
  SampleId sample_id{};
  double priority = 0;
  std::string reason{};
  bool gold = false;
  std::uint32_t votes = 0;
  std::uint32_t votes_wanted = 1;
  ItemState state = ItemState::kWaiting;
  LeaseId lease_id{};
  std::string leased_by{};
  std::optional<Timestamp> leased_until{};
};

/// What is known of a sample that is to be queued.
struct SampleFacts {
  bool known = false;   // A sample of this task.
  bool active = false;  // Not deactivated.
  bool labeled = false;
  bool queued = false;
  /// The group of look-alikes; empty where it has none, or where the group was given by who pushed
  /// it (one camera pass, one patient), which says nothing of looks.
  std::string look_alikes{};
  bool look_alike_labeled = false;
  bool look_alike_queued = false;
};

struct Choice {
  std::vector<std::size_t> items{};                // Places in the batch, the most urgent first.
  std::size_t gold = 0;                            // How many known ones go with them.
  std::map<std::string, std::uint32_t> skipped{};  // By reason.
};

/// Which of a batch's samples are asked: each and its look-alikes once, none that has a label or
/// waits already, the most urgent first as far as the budget goes. Where a batch asks again a label
/// does not count: each sample is asked for its own sake, whatever looks like it. `facts` are in
/// the order of the items.
Choice ChooseItems(const NewBatch& batch, const std::vector<SampleFacts>& facts);

/// A vote on a leased sample, on its way in.
struct LeasedVote {
  LeaseId lease_id{};
  std::string class_name{};
};

enum class LeaseState { kOpen, kAnswered, kReleased, kDeclined };

/// What decides whether a vote under a lease counts.
struct LeaseFacts {
  std::string annotator{};
  std::string batch_id{};
  std::string task{};
  SampleId sample_id{};
  LeaseState state = LeaseState::kOpen;
  std::string class_name{};  // Of an answered one.
  ItemState item_state = ItemState::kWaiting;
  std::uint32_t votes = 0;
  std::uint32_t votes_wanted = 1;
  bool declined_or_answered_elsewhere = false;  // Under another lease of this annotator.
};

struct VoteDecision {
  enum class Kind { kCounts, kUnchanged, kRejected };
  Kind kind = Kind::kRejected;
  std::string reason{};  // Of a rejected one.
};

/// A vote counts while its sample still wants one, also when the lease has run out: the work is
/// done. A repeat changes nothing. `lease` none: there is no such lease.
VoteDecision Decide(const LeasedVote& vote, const std::string& annotator, const LeaseFacts* lease);

}  // namespace tidewheel::labeling
