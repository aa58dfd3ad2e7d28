#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labeling/domain/vote.h"

namespace tidewheel::labeling {

/// Where a subject leads: to one sample, to none, or to several of the same name.
struct Resolution {
  SampleId sample_id;  // Empty unless `matches` is 1.
  std::size_t matches = 0;
};

/// A vote that was not taken because its annotator is known as another kind.
struct KindConflict {
  std::size_t place = 0;  // In what was to be saved.
  AnnotatorKind known = AnnotatorKind::kPerson;
};

struct SaveOutcome {
  std::uint32_t accepted = 0;
  std::uint32_t unchanged = 0;
  std::vector<KindConflict> conflicts;
};

/// A vote whose sample is known.
struct ResolvedVote {
  Vote vote;
  bool kind_given = true;  // False: takes the kind its annotator is known as.
};

struct VoteFilter {
  std::string task;
  SampleId sample_id;  // Empty: all of the task.
};

/// Keeps votes. A vote is never overwritten: a newer opinion supersedes it. Thread-safe.
class VoteStore {
 public:
  virtual ~VoteStore() = default;

  /// One answer for each subject, in order. Among samples of one name those in use go before
  /// deactivated ones.
  virtual Result<std::vector<Resolution>> Resolve(const std::string& task,
                                                  std::span<const Subject> subjects) = 0;

  /// In one transaction. No two of `votes` have the same annotator, sample and source.
  virtual Result<SaveOutcome> Save(const std::string& task,
                                   std::span<const ResolvedVote> votes) = 0;

  /// Votes in force after `after` (empty: from the start), in the order they were taken.
  virtual Result<std::vector<Vote>> List(const VoteFilter& filter, const VoteId& after,
                                         std::size_t at_most) = 0;
};

}  // namespace tidewheel::labeling
