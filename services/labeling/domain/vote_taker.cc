#include "tidewheel/labeling/domain/vote_taker.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "tidewheel/base/digest.h"

namespace tidewheel::labeling {
namespace {

std::string Describe(const Subject& subject) {
  switch (subject.by) {
    case Subject::By::kSampleId:
      return "sample " + subject.text;
    case Subject::By::kName:
      return "sample named \"" + subject.text + "\"";
    case Subject::By::kSha256:
      return "sample with SHA-256 " + subject.text;
    case Subject::By::kNothing:
      break;
  }
  return "sample";
}

std::optional<std::string> SubjectProblem(const Subject& subject, const VoteLimits& limits) {
  switch (subject.by) {
    case Subject::By::kSampleId:
      if (!IsUuid(subject.text))
        return "sample_id \"" + subject.text.substr(0, 64) + "\" is not a UUID";
      return std::nullopt;
    case Subject::By::kName:
      return TextProblem("sample_name", subject.text, limits.sample_name_bytes);
    case Subject::By::kSha256:
      if (!Digest::FromHex(subject.text)) {
        return "sha256 \"" + subject.text.substr(0, 80) + "\" is not 64 hexadecimal digits";
      }
      return std::nullopt;
    case Subject::By::kNothing:
      break;
  }
  return "the vote names no sample: give sample_id, sample_name or sha256";
}

/// Says what is wrong with one vote by itself.
std::optional<std::string> Problem(const NewVote& vote, const TaskPolicy& task,
                                   const VoteLimits& limits) {
  if (auto problem = SubjectProblem(vote.subject, limits)) return problem;
  if (auto problem = TextProblem("annotator", vote.annotator, limits.annotator_bytes))
    return problem;
  if (!vote.source.empty()) {
    if (auto problem = TextProblem("source", vote.source, limits.source_bytes)) return problem;
  }
  if (task.IndexOf(vote.class_name) < 0) {
    return ClassProblem(vote.class_name, task);
  }
  return std::nullopt;
}

/// What may stand only once in the store.
using Key = std::tuple<std::string_view, std::string_view, std::string_view>;

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    const std::hash<std::string_view> hash;
    return hash(std::get<0>(key)) * 31 + hash(std::get<1>(key)) * 17 + hash(std::get<2>(key));
  }
};

}  // namespace

std::optional<std::string> TextProblem(std::string_view what, std::string_view text,
                                       std::size_t limit) {
  if (text.empty()) return std::string(what) + " is empty";
  if (text.size() > limit) {
    return std::string(what) + " has " + std::to_string(text.size()) + " bytes, the limit is " +
           std::to_string(limit);
  }
  if (text.find('\0') != std::string_view::npos) return std::string(what) + " has a zero byte";
  return std::nullopt;
}

std::string ClassProblem(const std::string& class_name, const TaskPolicy& task) {
  return "class \"" + class_name.substr(0, 128) + "\" is not in task " + task.name + " (" +
         task.ClassList() + ")";
}

Result<SubmitReport> VoteTaker::Submit(const std::string& task, std::vector<NewVote> votes) {
  if (votes.size() > limits_.votes) {
    return Error{ErrorCode::kInvalidArgument, "the request has " + std::to_string(votes.size()) +
                                                  " votes, the limit is " +
                                                  std::to_string(limits_.votes)};
  }
  auto policy = tasks_.Find(task);
  if (!policy) return policy.error();
  const bool unknown_class = std::any_of(votes.begin(), votes.end(), [&](const NewVote& vote) {
    return (*policy)->IndexOf(vote.class_name) < 0;
  });
  if (unknown_class) {
    // The class may have come with a version that is younger than what was remembered.
    policy = tasks_.FindNewest(task);
    if (!policy) return policy.error();
  }

  SubmitReport report;
  std::vector<std::size_t> good;
  std::vector<Subject> subjects;
  for (std::size_t i = 0; i < votes.size(); ++i) {
    if (auto problem = Problem(votes[i], **policy, limits_)) {
      report.rejected.push_back({i, std::move(*problem)});
      continue;
    }
    good.push_back(i);
    subjects.push_back(std::move(votes[i].subject));
  }

  std::vector<Resolution> resolutions;
  if (!subjects.empty()) {
    auto resolved = store_.Resolve(task, subjects);
    if (!resolved) return resolved.error();
    resolutions = std::move(*resolved);
  }

  // Later votes win, so walk from the end.
  const Timestamp now = clock_.Now();
  std::unordered_map<Key, std::size_t, KeyHash> taken;
  std::vector<std::size_t> keep;  // Places in `good`.
  for (std::size_t place = good.size(); place-- > 0;) {
    const std::size_t index = good[place];
    const Resolution& resolution = resolutions[place];
    if (resolution.matches != 1) {
      std::string reason = resolution.matches == 0
                               ? "no " + Describe(subjects[place]) + " in task " + task
                               : std::to_string(resolution.matches) + " samples of task " + task +
                                     " are named \"" + subjects[place].text +
                                     "\": name it by sample_id or sha256";
      report.rejected.push_back({index, std::move(reason)});
      continue;
    }
    const NewVote& vote = votes[index];
    const auto [other, first] =
        taken.emplace(Key{resolution.sample_id.text(), vote.annotator, vote.source}, index);
    if (!first) {
      if (votes[other->second].class_name == vote.class_name) {
        ++report.unchanged;
      } else {
        report.rejected.push_back(
            {index, "overtaken by vote " + std::to_string(other->second) +
                        " of this request: same sample, annotator and source"});
      }
      continue;
    }
    keep.push_back(place);
  }
  std::reverse(keep.begin(), keep.end());

  std::vector<ResolvedVote> saving;
  saving.reserve(keep.size());
  for (const std::size_t place : keep) {
    NewVote& vote = votes[good[place]];
    // Keys in `taken` are not looked at any more, so the texts may go.
    saving.push_back(
        {.vote = {.vote_id = VoteId(NewUuid()),
                  .sample_id = resolutions[place].sample_id,
                  .class_name = std::move(vote.class_name),
                  .annotator = std::move(vote.annotator),
                  .annotator_kind = vote.annotator_kind.value_or(AnnotatorKind::kPerson),
                  .source = std::move(vote.source),
                  .voted_at = vote.voted_at.value_or(now)},
         .kind_given = vote.annotator_kind.has_value()});
  }
  if (!saving.empty()) {
    const auto outcome = store_.Save(task, saving);
    if (!outcome) return outcome.error();
    report.accepted = outcome->accepted;
    report.unchanged += outcome->unchanged;
    for (const KindConflict& conflict : outcome->conflicts) {
      const Vote& vote = saving[conflict.place].vote;
      report.rejected.push_back(
          {good[keep[conflict.place]], "annotator \"" + vote.annotator + "\" is known as " +
                                           std::string(Name(conflict.known)) + " in task " + task +
                                           ", not as " + std::string(Name(vote.annotator_kind))});
    }
  }
  std::sort(report.rejected.begin(), report.rejected.end(),
            [](const RejectedVote& a, const RejectedVote& b) { return a.index < b.index; });

  counters_.accepted.Add(report.accepted);
  counters_.unchanged.Add(report.unchanged);
  counters_.rejected.Add(static_cast<double>(report.rejected.size()));
  return report;
}

}  // namespace tidewheel::labeling
