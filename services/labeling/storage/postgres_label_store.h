#pragma once

#include "tidewheel/labeling/domain/label_store.h"

namespace tidewheel::postgres {
class Pool;
}

namespace tidewheel::labeling {

/// Labels in the schema `labeling`; each new version queues its event in the outbox.
class PostgresLabelStore final : public LabelStore {
 public:
  explicit PostgresLabelStore(postgres::Pool& pool) : pool_(pool) {}

  Result<Computation> Begin(const std::string& task, ConsensusMethod method, Timestamp at) override;
  Result<void> VisitVotes(const std::string& task, const VoteVisitor& visit) override;
  Result<std::map<std::string, AnnotatorKind, std::less<>>> Kinds(const std::string& task) override;
  Result<std::vector<GoldAnswer>> GoldAnswers(const std::string& task) override;
  Result<void> VisitLabels(const std::string& task, const LabelVisitor& visit) override;
  Result<void> Save(const Computation& computation, std::span<const Label> labels) override;
  Result<void> Finish(const Computation& computation, const ConsensusReport& report,
                      std::span<const AnnotatorQuality> annotators, Timestamp at) override;
  Result<LabelHistory> Find(const SampleId& sample) override;
  Result<std::vector<Label>> List(const LabelFilter& filter, const SampleId& after,
                                  std::size_t at_most) override;
  Result<std::vector<Annotator>> ListAnnotators(const std::string& task, const std::string& after,
                                                std::size_t at_most) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace tidewheel::labeling
