#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/labeling/domain/task_catalogue.h"
#include "tidewheel/labeling/domain/vote.h"
#include "tidewheel/labeling/domain/vote_store.h"

namespace tidewheel::labeling {

struct VoteLimits {
  std::size_t votes = 10'000;  // In one request.
  std::size_t annotator_bytes = 256;
  std::size_t source_bytes = 1'024;
  std::size_t sample_name_bytes = 1'024;
};

/// What is wrong with a text of foreign origin; nothing when it may be stored.
std::optional<std::string> TextProblem(std::string_view what, std::string_view text,
                                       std::size_t limit);
/// What to say of a class that the task does not have.
std::string ClassProblem(const std::string& class_name, const TaskPolicy& task);

struct VoteCounters {
  Counter& accepted = Counter::None();
  Counter& unchanged = Counter::None();
  Counter& rejected = Counter::None();
};

struct RejectedVote {
  std::size_t index = 0;  // Place in the request, from 0.
  std::string reason;
};

struct SubmitReport {
  std::uint32_t accepted = 0;
  std::uint32_t unchanged = 0;
  std::vector<RejectedVote> rejected;  // By index.
};

/// Takes votes: checks each, finds its sample, stores what is good. Thread-safe.
class VoteTaker {
 public:
  VoteTaker(TaskCatalogue& tasks, VoteStore& store, const Clock& clock, VoteLimits limits = {},
            VoteCounters counters = {})
      : tasks_(tasks), store_(store), clock_(clock), limits_(limits), counters_(counters) {}

  /// A vote that cannot be taken is rejected on its own. Of two votes of one annotator on one
  /// sample from one source in the same request the later counts, so that a repeated request
  /// changes nothing. kNotFound: the task. kInvalidArgument: too many votes.
  Result<SubmitReport> Submit(const std::string& task, std::vector<NewVote> votes);

 private:
  TaskCatalogue& tasks_;
  VoteStore& store_;
  const Clock& clock_;
  const VoteLimits limits_;
  const VoteCounters counters_;
};

}  // namespace tidewheel::labeling
