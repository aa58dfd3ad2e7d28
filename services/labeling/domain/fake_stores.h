#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tidewheel/labeling/domain/label_store.h"
#include "tidewheel/labeling/domain/task_catalogue.h"
#include "tidewheel/labeling/domain/vote_store.h"

namespace tidewheel::labeling {

/// Tasks in memory, for tests. `remembered` plays the catalogue's short memory.
class FakeTaskCatalogue final : public TaskCatalogue {
 public:
  Result<std::shared_ptr<const TaskPolicy>> Find(const std::string& task) override {
    const auto found = remembered.find(task);
    if (found != remembered.end()) return std::make_shared<const TaskPolicy>(found->second);
    return FindNewest(task);
  }
  Result<std::shared_ptr<const TaskPolicy>> FindNewest(const std::string& task) override {
    if (failure) return *failure;
    const auto found = tasks.find(task);
    if (found == tasks.end()) return Error{ErrorCode::kNotFound, "no task " + task};
    return std::make_shared<const TaskPolicy>(found->second);
  }

  std::map<std::string, TaskPolicy> tasks;
  std::map<std::string, TaskPolicy> remembered;
  std::optional<Error> failure;
};

/// Votes in memory, for tests.
class FakeVoteStore final : public VoteStore {
 public:
  struct KnownSample {
    std::string id;
    std::string name;
    std::string sha256;
  };

  Result<std::vector<Resolution>> Resolve(const std::string& /*task*/,
                                          std::span<const Subject> subjects) override {
    ++resolve_calls;
    std::vector<Resolution> resolutions;
    for (const Subject& subject : subjects) {
      Resolution resolution;
      for (const KnownSample& sample : samples) {
        const bool same = (subject.by == Subject::By::kSampleId && subject.text == sample.id) ||
                          (subject.by == Subject::By::kName && subject.text == sample.name) ||
                          (subject.by == Subject::By::kSha256 && subject.text == sample.sha256);
        if (!same) continue;
        ++resolution.matches;
        resolution.sample_id = SampleId(sample.id);
      }
      if (resolution.matches != 1) resolution.sample_id = {};
      resolutions.push_back(resolution);
    }
    return resolutions;
  }

  Result<SaveOutcome> Save(const std::string& task, std::span<const ResolvedVote> saving) override {
    if (failure) return *failure;
    SaveOutcome outcome;
    for (std::size_t place = 0; place < saving.size(); ++place) {
      Vote vote = saving[place].vote;
      const auto [known, is_new] =
          kinds.emplace(std::pair{task, vote.annotator}, vote.annotator_kind);
      if (!is_new && known->second != vote.annotator_kind) {
        if (saving[place].kind_given) {
          outcome.conflicts.push_back({place, known->second});
          continue;
        }
        vote.annotator_kind = known->second;
      }
      const auto key = std::tuple(task, vote.sample_id.text(), vote.annotator, vote.source);
      const auto standing = in_force.find(key);
      if (standing != in_force.end() && standing->second.class_name == vote.class_name) {
        ++outcome.unchanged;
        continue;
      }
      if (standing != in_force.end()) superseded.push_back(standing->second);
      in_force[key] = vote;
      ++outcome.accepted;
    }
    return outcome;
  }

  Result<std::vector<Vote>> List(const VoteFilter& filter, const VoteId& after,
                                 std::size_t at_most) override {
    std::vector<Vote> votes;
    for (const auto& [key, vote] : in_force) {
      if (std::get<0>(key) != filter.task) continue;
      if (!filter.sample_id.empty() && filter.sample_id != vote.sample_id) continue;
      if (vote.vote_id > after) votes.push_back(vote);
    }
    std::sort(votes.begin(), votes.end(),
              [](const Vote& a, const Vote& b) { return a.vote_id < b.vote_id; });
    if (votes.size() > at_most) votes.resize(at_most);
    return votes;
  }

  std::vector<KnownSample> samples;
  std::map<std::tuple<std::string, std::string, std::string, std::string>, Vote> in_force;
  std::vector<Vote> superseded;
  std::map<std::pair<std::string, std::string>, AnnotatorKind> kinds;
  std::optional<Error> failure;
  int resolve_calls = 0;
};

/// Labels in memory over votes in memory, for tests.
class FakeLabelStore final : public LabelStore {
 public:
  explicit FakeLabelStore(FakeVoteStore& votes) : votes_(votes) {}

  Result<Computation> Begin(const std::string& task, ConsensusMethod /*method*/,
                            Timestamp /*at*/) override {
    return Computation{task, ++newest[task]};
  }

  Result<void> VisitVotes(const std::string& task, const VoteVisitor& visit) override {
    for (const auto& [key, vote] : votes_.in_force) {
      if (std::get<0>(key) != task) continue;
      visit(vote.sample_id.text(), vote.annotator, vote.class_name, vote.voted_at);
    }
    return {};
  }

  Result<std::map<std::string, AnnotatorKind, std::less<>>> Kinds(
      const std::string& task) override {
    std::map<std::string, AnnotatorKind, std::less<>> kinds;
    for (const auto& [key, kind] : votes_.kinds) {
      if (key.first == task) kinds.emplace(key.second, kind);
    }
    return kinds;
  }

  Result<std::vector<GoldAnswer>> GoldAnswers(const std::string& /*task*/) override {
    return gold_answers;
  }

  Result<void> VisitLabels(const std::string& /*task*/, const LabelVisitor& visit) override {
    for (const auto& [sample, versions] : labels) visit(versions.back());
    return {};
  }

  Result<void> Save(const Computation& computation, std::span<const Label> saving) override {
    if (newest[computation.task] != computation.number) {
      return Error{ErrorCode::kAborted, "a younger computation has begun"};
    }
    if (saves_until_failure == 0) return Error{ErrorCode::kUnavailable, "the store went away"};
    --saves_until_failure;
    ++saves;
    for (const Label& label : saving) {
      auto& versions = labels[label.sample_id.text()];
      if (label.version != versions.size() + 1) {
        return Error{ErrorCode::kAlreadyExists, "version is there"};
      }
      versions.push_back(label);
    }
    return {};
  }

  Result<void> Finish(const Computation& /*computation*/, const ConsensusReport& report,
                      std::span<const AnnotatorQuality> judged, Timestamp /*at*/) override {
    finished = report;
    annotators.assign(judged.begin(), judged.end());
    return {};
  }

  Result<LabelHistory> Find(const SampleId& sample) override {
    const auto found = labels.find(sample.text());
    if (found == labels.end() || found->second.back().withdrawn()) {
      return Error{ErrorCode::kNotFound, "sample " + sample.text() + " has no label"};
    }
    LabelHistory history{.label = found->second.back(), .earlier = {}};
    history.earlier.assign(found->second.rbegin() + 1, found->second.rend());
    return history;
  }

  Result<std::vector<Label>> List(const LabelFilter& filter, const SampleId& after,
                                  std::size_t at_most) override {
    std::vector<Label> listed;
    for (const auto& [sample, versions] : labels) {
      const Label& label = versions.back();
      if (label.withdrawn() || sample <= after.text()) continue;
      if (!filter.class_name.empty() && filter.class_name != label.class_name) continue;
      if (listed.size() < at_most) listed.push_back(label);
    }
    return listed;
  }

  Result<std::vector<Annotator>> ListAnnotators(const std::string& task, const std::string& after,
                                                std::size_t at_most) override {
    std::vector<Annotator> listed;
    for (const auto& [key, kind] : votes_.kinds) {
      if (key.first != task || key.second <= after || listed.size() == at_most) continue;
      Annotator annotator{.annotator = key.second,
                          .kind = kind,
                          .votes = 0,
                          .quality = {},
                          .agreement = {},
                          .recent = {},
                          .assessed_at = {}};
      for (const auto& [vote_key, vote] : votes_.in_force) {
        annotator.votes += vote.annotator == key.second ? 1U : 0U;
      }
      for (const AnnotatorQuality& judged : annotators) {
        if (judged.annotator != key.second) continue;
        annotator.quality = judged.quality;
        annotator.agreement = judged.agreement;
        annotator.recent = judged.recent;
      }
      listed.push_back(std::move(annotator));
    }
    return listed;
  }

  std::map<std::string, std::vector<Label>> labels;  // Versions by sample.
  std::map<std::string, std::uint64_t> newest;       // Computation by task.
  std::vector<AnnotatorQuality> annotators;
  std::vector<GoldAnswer> gold_answers;
  std::optional<ConsensusReport> finished;
  int saves_until_failure = 1'000'000;
  int saves = 0;

 private:
  FakeVoteStore& votes_;
};

}  // namespace tidewheel::labeling
