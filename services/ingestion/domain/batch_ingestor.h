#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/counters.h"
#include "tidewheel/ingestion/domain/examiner.h"
#include "tidewheel/ingestion/domain/sample_store.h"
#include "tidewheel/ingestion/domain/task_rules.h"

namespace tidewheel::ingestion {

/// What the ingestor counts; the map holds a counter per reason or none.
struct IngestorCounters {
  Counter& accepted = Counter::None();
  Counter& unchanged = Counter::None();
  Counter& quarantined = Counter::None();
  std::map<ReasonCode, Counter*> reasons;
};

/// Takes batches of samples: examines, recognises duplicates, stores what is good once and sets the
/// rest aside with its reasons. Thread-safe.
class BatchIngestor {
 public:
  static constexpr std::size_t kMaxSamples = 1'000;
  static constexpr std::size_t kMaxBytes = 32U << 20;

  BatchIngestor(TaskSource& tasks, const Examiner& examiner, NearDuplicates& near_duplicates,
                PayloadStore& payloads, SampleStore& store, const Clock& clock,
                IngestorCounters counters)
      : tasks_(tasks),
        examiner_(examiner),
        near_duplicates_(near_duplicates),
        payloads_(payloads),
        store_(store),
        clock_(clock),
        counters_(std::move(counters)) {}

  /// One verdict a sample, in order; everything is durable on return. A repeat gets the same answer
  /// and changes nothing. kNotFound: no such task. kInvalidArgument names the sample, its field and
  /// the limit.
  Result<std::vector<Verdict>> Ingest(const std::string& task, std::span<const NewSample> samples);

 private:
  struct Candidate;

  Result<void> Decide(const TaskRules& rules, std::vector<Candidate>& candidates);
  Result<std::optional<NearSample>> FindNear(const TaskRules& rules, const Candidate& candidate,
                                             std::span<const Candidate* const> accepted);
  Result<bool> Store(const TaskRules& rules, std::vector<Candidate>& candidates);
  void Count(const Verdict& verdict) const;

  TaskSource& tasks_;
  const Examiner& examiner_;
  NearDuplicates& near_duplicates_;
  PayloadStore& payloads_;
  SampleStore& store_;
  const Clock& clock_;
  const IngestorCounters counters_;
};

}  // namespace tidewheel::ingestion
