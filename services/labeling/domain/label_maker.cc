#include "tidewheel/labeling/domain/label_maker.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tidewheel/labeling/domain/annotator_drift.h"
#include "tidewheel/labeling/domain/consensus.h"

namespace tidewheel::labeling {
namespace {

/// The votes as numbers, and what the numbers stand for.
struct Ballot {
  VoteTable votes;
  std::vector<std::string> samples;  // Of each item, rising.
  std::vector<std::string> annotators;
  std::vector<std::uint32_t> votes_of_item;
  std::vector<Timestamp> voted_at;  // Of each vote.
  std::map<std::string, std::uint64_t, std::less<>> unknown_classes;
};

Result<Ballot> ReadBallot(LabelStore& store, const TaskPolicy& task) {
  Ballot ballot;
  std::unordered_map<std::string_view, std::int32_t> classes;
  for (std::size_t i = 0; i < task.classes.size(); ++i) {
    classes.emplace(task.classes[i], static_cast<std::int32_t>(i));
  }
  std::map<std::string, std::int32_t, std::less<>> workers;

  const auto read =
      store.VisitVotes(task.name, [&](std::string_view sample, std::string_view annotator,
                                      std::string_view class_name, Timestamp voted_at) {
        const auto known_class = classes.find(class_name);
        if (known_class == classes.end()) {
          ++ballot.unknown_classes[std::string(class_name)];
          return;
        }
        if (ballot.samples.empty() || ballot.samples.back() != sample) {
          ballot.samples.emplace_back(sample);
          ballot.votes_of_item.push_back(0);
        }
        auto worker = workers.find(annotator);
        if (worker == workers.end()) {
          worker = workers.emplace(annotator, static_cast<std::int32_t>(workers.size())).first;
          ballot.annotators.emplace_back(annotator);
        }
        ++ballot.votes_of_item.back();
        ballot.votes.item.push_back(static_cast<std::int32_t>(ballot.samples.size() - 1));
        ballot.votes.worker.push_back(worker->second);
        ballot.votes.label.push_back(known_class->second);
        ballot.voted_at.push_back(voted_at);
      });
  if (!read) return read.error();

  if (!ballot.unknown_classes.empty()) {
    const auto& [name, count] = *ballot.unknown_classes.begin();
    return Error{ErrorCode::kFailedPrecondition, std::to_string(count) + " votes are for class \"" +
                                                     name + "\", which is not in version " +
                                                     std::to_string(task.version) + " of task " +
                                                     task.name + " (" + task.ClassList() + ")"};
  }
  if (ballot.samples.empty()) {
    return Error{ErrorCode::kFailedPrecondition, "task " + task.name + " has no votes"};
  }
  ballot.votes.items = ballot.samples.size();
  ballot.votes.workers = ballot.annotators.size();
  ballot.votes.classes = task.classes.size();
  return ballot;
}

/// How often each annotator agrees with the labels, over samples that have one.
std::vector<AnnotatorQuality> Judge(const Ballot& ballot, const Consensus& consensus,
                                    std::uint32_t min_votes) {
  std::vector<std::uint64_t> votes(ballot.annotators.size(), 0);
  std::vector<std::uint64_t> agreeing(ballot.annotators.size(), 0);
  for (std::size_t i = 0; i < ballot.votes.item.size(); ++i) {
    const auto item = static_cast<std::size_t>(ballot.votes.item[i]);
    const auto worker = static_cast<std::size_t>(ballot.votes.worker[i]);
    if (ballot.votes_of_item[item] < min_votes) continue;
    ++votes[worker];
    if (consensus.label[item] == ballot.votes.label[i]) ++agreeing[worker];
  }
  std::vector<AnnotatorQuality> judged;
  judged.reserve(ballot.annotators.size());
  for (std::size_t w = 0; w < ballot.annotators.size(); ++w) {
    AnnotatorQuality quality;
    quality.annotator = ballot.annotators[w];
    quality.quality = consensus.quality[w];
    if (votes[w] > 0) {
      quality.agreement = static_cast<double>(agreeing[w]) / static_cast<double>(votes[w]);
    }
    judged.push_back(std::move(quality));
  }
  return judged;
}

/// Adds how good each annotator was of late beside before.
Result<void> AddRecentQuality(LabelStore& store, const TaskPolicy& task, const Ballot& ballot,
                              std::vector<AnnotatorQuality>* judged) {
  const auto kinds = store.Kinds(task.name);
  if (!kinds) return kinds.error();
  const auto gold = store.GoldAnswers(task.name);
  if (!gold) return gold.error();

  std::vector<CastAnswer> answers;
  answers.reserve(ballot.votes.item.size() + gold->size());
  for (std::size_t i = 0; i < ballot.votes.item.size(); ++i) {
    answers.push_back({.sample = ballot.votes.item[i],
                       .annotator = ballot.votes.worker[i],
                       .class_index = ballot.votes.label[i],
                       .at = ballot.voted_at[i]});
  }
  std::map<std::string_view, std::int32_t> numbers;
  for (std::size_t w = 0; w < judged->size(); ++w) {
    numbers.emplace(ballot.annotators[w], static_cast<std::int32_t>(w));
  }
  for (const GoldAnswer& answer : *gold) {
    const int said = task.IndexOf(answer.class_name);
    const int known = task.IndexOf(answer.known_class);
    const auto who = numbers.find(answer.annotator);
    if (said < 0 || known < 0 || who == numbers.end()) continue;
    answers.push_back({.sample = 0,
                       .annotator = who->second,
                       .class_index = said,
                       .at = answer.at,
                       .known_class = known});
  }
  std::vector<AnnotatorFacts> facts;
  for (const AnnotatorQuality& annotator : *judged) {
    const auto kind = kinds->find(annotator.annotator);
    facts.push_back({kind == kinds->end() ? AnnotatorKind::kPerson : kind->second});
  }
  for (const CastAnswer& answer : answers) {
    AnnotatorQuality& annotator = (*judged)[static_cast<std::size_t>(answer.annotator)];
    ++annotator.answers;
    annotator.last_answer_at = std::max(annotator.last_answer_at, answer.at);
  }
  for (const Assessment& found : AssessAnnotators(answers, facts, task.classes.size())) {
    (*judged)[static_cast<std::size_t>(found.annotator)].recent =
        RecentQuality{.recent_votes = found.recent_votes,
                      .recent_agreed = found.recent_agreed,
                      .earlier_votes = found.earlier_votes,
                      .earlier_agreed = found.earlier_agreed,
                      .worse_p_value = found.p_value};
  }
  return {};
}

constexpr std::size_t kNoItem = std::numeric_limits<std::size_t>::max();

/// A version to write: of an item, or the withdrawal of a label whose votes are gone.
struct Change {
  std::size_t item = kNoItem;
  std::uint32_t version = 1;
  bool withdraw = false;
  std::string sample;  // Only without an item.
};

}  // namespace

bool Differs(const Label& standing, const Label& computed) {
  constexpr double kNews = 0.001;
  return standing.class_name != computed.class_name || standing.method != computed.method ||
         standing.votes != computed.votes ||
         std::abs(standing.confidence - computed.confidence) >= kNews;
}

Result<ConsensusReport> LabelMaker::Compute(const std::string& task_name,
                                            std::optional<ConsensusMethod> method) {
  const auto started = std::chrono::steady_clock::now();
  const auto task = tasks_.FindNewest(task_name);
  if (!task) return task.error();
  const TaskPolicy& policy = **task;
  const Timestamp decided_at = clock_.Now();

  ConsensusReport report;
  report.method = method.value_or(policy.method);
  // Before the votes are read: from here on the labels that stand change by our hand alone.
  const auto computation = store_.Begin(task_name, report.method, decided_at);
  if (!computation) return computation.error();

  const auto ballot = ReadBallot(store_, policy);
  if (!ballot) return ballot.error();
  const auto consensus = FindConsensus(ballot->votes, report.method);
  if (!consensus) return consensus.error();
  report.samples = ballot->samples.size();
  report.votes = ballot->votes.item.size();
  report.rounds = consensus->rounds;

  const auto computed = [&](std::size_t item, std::uint32_t version) {
    return Label{.label_id = {},
                 .sample_id = SampleId(ballot->samples[item]),
                 .class_name = policy.classes[static_cast<std::size_t>(consensus->label[item])],
                 .confidence = consensus->confidence[item],
                 .method = report.method,
                 .version = version,
                 .votes = ballot->votes_of_item[item],
                 .decided_at = decided_at};
  };
  const auto has_label = [&](std::size_t item) {
    return ballot->votes_of_item[item] >= policy.min_votes;
  };

  // Both run in the order of sample ids: one walk beside the other finds what is news.
  std::vector<Change> changes;
  std::size_t next = 0;
  const auto without_standing = [&](std::size_t item) {
    if (has_label(item))
      changes.push_back({.item = item, .version = 1, .withdraw = false, .sample = {}});
  };
  const auto compared = store_.VisitLabels(task_name, [&](const Label& standing) {
    while (next < ballot->samples.size() && ballot->samples[next] < standing.sample_id.text()) {
      without_standing(next++);
    }
    const bool voted =
        next < ballot->samples.size() && ballot->samples[next] == standing.sample_id.text();
    const std::uint32_t version = standing.version + 1;
    if (!voted || !has_label(next)) {
      if (!standing.withdrawn()) {
        changes.push_back({.item = voted ? next : kNoItem,
                           .version = version,
                           .withdraw = true,
                           .sample = voted ? std::string() : standing.sample_id.text()});
      }
    } else if (Differs(standing, computed(next, version))) {
      changes.push_back({.item = next, .version = version, .withdraw = false, .sample = {}});
    }
    if (voted) ++next;
  });
  if (!compared) return compared.error();
  while (next < ballot->samples.size()) without_standing(next++);

  std::vector<Label> batch;
  for (std::size_t from = 0; from < changes.size(); from += labels_per_transaction_) {
    batch.clear();
    for (const Change& change : std::span(changes).subspan(
             from, std::min(labels_per_transaction_, changes.size() - from))) {
      Label label = change.item == kNoItem ? Label{.label_id = {},
                                                   .sample_id = SampleId(change.sample),
                                                   .class_name = {},
                                                   .confidence = 0,
                                                   .method = report.method,
                                                   .version = change.version,
                                                   .votes = 0,
                                                   .decided_at = decided_at}
                                           : computed(change.item, change.version);
      if (change.withdraw) {
        label.class_name.clear();
        label.confidence = 0;
      }
      label.label_id = LabelId(NewUuid());
      batch.push_back(std::move(label));
    }
    if (const auto saved = store_.Save(*computation, batch); !saved) return saved.error();
    counters_.changed.Add(static_cast<double>(batch.size()));
  }

  std::uint64_t labeled = 0;
  for (std::size_t item = 0; item < ballot->samples.size(); ++item) {
    if (!has_label(item)) continue;
    ++labeled;
    report.ties += consensus->tied[item];
  }
  report.without_label = report.samples - labeled;
  for (const Change& change : changes) report.changed += change.withdraw ? 0U : 1U;
  report.unchanged = labeled - report.changed;
  report.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();

  auto judged = Judge(*ballot, *consensus, policy.min_votes);
  if (const auto added = AddRecentQuality(store_, policy, *ballot, &judged); !added) {
    return added.error();
  }
  const auto finished = store_.Finish(*computation, report, judged, clock_.Now());
  if (!finished) return finished.error();
  counters_.ties.Add(static_cast<double>(report.ties));
  counters_.seconds.Observe(report.seconds);
  return report;
}

}  // namespace tidewheel::labeling
