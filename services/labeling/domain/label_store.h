#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labeling/domain/label.h"

namespace tidewheel::labeling {

/// One making of a task's labels. A younger one of the same task shuts it out.
struct Computation {
  std::string task{};
  std::uint64_t number = 0;  // Counts from 1 within the task.
};

/// What a computation came to.
struct ConsensusReport {
  ConsensusMethod method = ConsensusMethod::kMajority;
  std::uint64_t samples = 0;
  std::uint64_t votes = 0;
  std::uint64_t changed = 0;  // Labels that are new or differ from before.
  std::uint64_t unchanged = 0;
  std::uint64_t without_label = 0;  // Samples with too few votes.
  std::uint64_t ties = 0;
  std::uint32_t rounds = 0;
  double seconds = 0;
};

struct AnnotatorQuality {
  std::string annotator{};
  double quality = 0;
  std::optional<double> agreement{};      // Nothing: none of its votes is on a labeled sample.
  std::optional<RecentQuality> recent{};  // Nothing: too few answers to tell.
  std::uint64_t answers = 0;              // Its votes and answers to known samples,
  Timestamp last_answer_at{};             // and the time of the last: another one is news.
};

/// An answer to a sample whose label was known.
struct GoldAnswer {
  std::string annotator{};
  std::string class_name{};
  std::string known_class{};
  Timestamp at{};
};

struct LabelHistory {
  Label label{};                 // In force.
  std::vector<Label> earlier{};  // Newest first, at most 100.
};

struct LabelFilter {
  std::string task{};
  std::string class_name{};  // Empty: all.
};

/// Keeps labels. Thread-safe.
class LabelStore {
 public:
  using VoteVisitor = std::function<void(std::string_view sample_id, std::string_view annotator,
                                         std::string_view class_name, Timestamp voted_at)>;
  using LabelVisitor = std::function<void(const Label&)>;

  virtual ~LabelStore() = default;

  /// From its return on no older computation of the task writes any more.
  virtual Result<Computation> Begin(const std::string& task, ConsensusMethod method,
                                    Timestamp at) = 0;

  /// Every vote in force, in the order of sample ids. The views live for the call alone.
  virtual Result<void> VisitVotes(const std::string& task, const VoteVisitor& visit) = 0;
  /// What each annotator of the task is known as.
  virtual Result<std::map<std::string, AnnotatorKind, std::less<>>> Kinds(
      const std::string& task) = 0;
  virtual Result<std::vector<GoldAnswer>> GoldAnswers(const std::string& task) = 0;
  /// The newest version of every label, withdrawn ones too, in the order of sample ids.
  virtual Result<void> VisitLabels(const std::string& task, const LabelVisitor& visit) = 0;

  /// Adds versions and queues an event for each, in one transaction. kAborted: a younger
  /// computation has begun.
  virtual Result<void> Save(const Computation& computation, std::span<const Label> labels) = 0;
  /// Notes what came out and how good the annotators are, and queues an event for each with new
  /// answers whose recent quality is known. kAborted as above.
  virtual Result<void> Finish(const Computation& computation, const ConsensusReport& report,
                              std::span<const AnnotatorQuality> annotators, Timestamp at) = 0;

  /// kNotFound: the sample has no label.
  virtual Result<LabelHistory> Find(const SampleId& sample) = 0;
  /// Labels in force after `after` (empty: from the start), in the order of sample ids.
  virtual Result<std::vector<Label>> List(const LabelFilter& filter, const SampleId& after,
                                          std::size_t at_most) = 0;
  /// By name, after `after` (empty: from the start).
  virtual Result<std::vector<Annotator>> ListAnnotators(const std::string& task,
                                                        const std::string& after,
                                                        std::size_t at_most) = 0;
};

}  // namespace tidewheel::labeling
