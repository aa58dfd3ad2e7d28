#include "tidewheel/labeling/storage/postgres_vote_store.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "tidewheel/base/digest.h"
#include "tidewheel/labeling/storage/save_votes.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::labeling {
namespace {

// One statement for all subjects of a request: by id, by name, by digest. `place` counts from 1 in
// each list.
constexpr char kResolve[] = R"(
SELECT 0 AS list, w.place, s.sample_id, s.deactivated_at IS NULL
FROM unnest($2::text[]) WITH ORDINALITY AS w (sample_id, place)
JOIN ingestion.samples_v1 s ON s.sample_id = w.sample_id::uuid
WHERE s.task = $1
UNION ALL
SELECT 1, w.place, s.sample_id, s.deactivated_at IS NULL
FROM unnest($3::text[]) WITH ORDINALITY AS w (name, place)
JOIN ingestion.samples_v1 s ON s.task = $1 AND s.name = w.name
UNION ALL
SELECT 2, w.place, s.sample_id, s.deactivated_at IS NULL
FROM unnest($4::bytea[]) WITH ORDINALITY AS w (sha256, place)
JOIN ingestion.samples_v1 s ON s.task = $1 AND s.sha256 = w.sha256)";

constexpr char kEnsureAnnotators[] = R"(
INSERT INTO annotators (task, annotator, kind)
SELECT $1, a.annotator, a.kind FROM unnest($2::text[], $3::text[]) AS a (annotator, kind)
ON CONFLICT (task, annotator) DO NOTHING)";

// Two requests of one annotator wait for each other here, so that what each finds in force stays
// so.
constexpr char kLockAnnotators[] = R"(
SELECT annotator, kind FROM annotators
WHERE task = $1 AND annotator = ANY ($2::text[])
ORDER BY annotator
FOR UPDATE)";

constexpr char kInsertVotes[] = R"(
INSERT INTO votes (vote_id, task, sample_id, class_name, annotator, annotator_kind, source, voted_at)
SELECT v.vote_id::uuid, $1, v.sample_id::uuid, v.class_name, v.annotator, v.kind, v.source, v.voted_at
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[])
  AS v (vote_id, sample_id, class_name, annotator, kind, source, voted_at)
ON CONFLICT (sample_id, annotator, source) WHERE superseded_at IS NULL DO NOTHING)";

constexpr char kFindInForce[] = R"(
SELECT i.place, v.vote_id, v.class_name, v.voted_at
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS i (sample_id, annotator, source, place)
JOIN votes v ON v.sample_id = i.sample_id::uuid AND v.annotator = i.annotator AND v.source = i.source
WHERE v.superseded_at IS NULL)";

constexpr char kSupersede[] = R"(
UPDATE votes SET superseded_at = now()
FROM unnest($2::text[]) AS old (vote_id)
WHERE votes.task = $1 AND votes.vote_id = old.vote_id::uuid)";

constexpr char kCountVotes[] = R"(
UPDATE annotators SET votes = annotators.votes + d.added
FROM unnest($2::text[], $3::bigint[]) AS d (annotator, added)
WHERE annotators.task = $1 AND annotators.annotator = d.annotator)";

constexpr char kListVotes[] = R"(
SELECT vote_id, sample_id, class_name, annotator, annotator_kind, source, voted_at
FROM votes
WHERE task = $1 AND superseded_at IS NULL AND vote_id > $2::uuid
ORDER BY vote_id
LIMIT $3)";

constexpr char kListVotesOfSample[] = R"(
SELECT vote_id, sample_id, class_name, annotator, annotator_kind, source, voted_at
FROM votes
WHERE task = $1 AND superseded_at IS NULL AND vote_id > $2::uuid AND sample_id = $4::uuid
ORDER BY vote_id
LIMIT $3)";

constexpr char kBeforeAllIds[] = "00000000-0000-0000-0000-000000000000";

/// The columns of kInsertVotes.
struct VoteColumns {
  postgres::TextArray vote_ids, sample_ids, class_names, annotators, kinds, sources;
  postgres::TimestampArray voted_at;

  void Add(const Vote& vote) {
    vote_ids.Add(vote.vote_id.text());
    sample_ids.Add(vote.sample_id.text());
    class_names.Add(vote.class_name);
    annotators.Add(vote.annotator);
    kinds.Add(Name(vote.annotator_kind));
    sources.Add(vote.source);
    voted_at.Add(vote.voted_at);
  }

  /// How many were not there.
  std::size_t Insert(pqxx::work& tx, const std::string& task) const {
    return tx
        .exec_params(kInsertVotes, task, vote_ids.Parameter(), sample_ids.Parameter(),
                     class_names.Parameter(), annotators.Parameter(), kinds.Parameter(),
                     sources.Parameter(), voted_at.Parameter())
        .affected_rows();
  }
};

Result<AnnotatorKind> KindOf(const pqxx::field& field) {
  const auto kind = ParseAnnotatorKind(field.c_str());
  if (!kind) {
    return Error{ErrorCode::kInternal, "unknown annotator kind " + std::string(field.c_str())};
  }
  return *kind;
}

/// Makes sure that every annotator of `votes` has a row, locks the rows, and says their kinds.
Result<std::map<std::string, AnnotatorKind, std::less<>>> LockAnnotators(
    pqxx::work& tx, const std::string& task, std::span<const ResolvedVote> votes) {
  // In one order everywhere, or two requests could each wait for the other.
  std::map<std::string_view, const ResolvedVote*> first;
  for (const ResolvedVote& vote : votes) {
    const auto [known, is_new] = first.emplace(vote.vote.annotator, &vote);
    if (!is_new && !known->second->kind_given && vote.kind_given) known->second = &vote;
  }
  postgres::TextArray names;
  postgres::TextArray kinds;
  for (const auto& [name, vote] : first) {
    names.Add(name);
    kinds.Add(Name(vote->vote.annotator_kind));
  }
  tx.exec_params(kEnsureAnnotators, task, names.Parameter(), kinds.Parameter());
  std::map<std::string, AnnotatorKind, std::less<>> known;
  for (const auto& row : tx.exec_params(kLockAnnotators, task, names.Parameter())) {
    const auto kind = KindOf(row[1]);
    if (!kind) return kind.error();
    known.emplace(row[0].as<std::string>(), *kind);
  }
  return known;
}

}  // namespace

Result<std::vector<Resolution>> PostgresVoteStore::Resolve(const std::string& task,
                                                           std::span<const Subject> subjects) {
  struct Matches {
    SampleId in_use;
    std::size_t in_use_count = 0;
    SampleId deactivated;
    std::size_t deactivated_count = 0;
  };
  // Five annotators on one picture ask for it once.
  std::array<std::unordered_map<std::string_view, std::size_t>, 3> places;
  std::array<std::vector<Matches>, 3> found;
  std::vector<std::pair<std::size_t, std::size_t>> asked;  // List and place of each subject.
  postgres::TextArray ids;
  postgres::TextArray names;
  postgres::ByteaArray digests;
  for (const Subject& subject : subjects) {
    const std::size_t list = subject.by == Subject::By::kSampleId ? 0
                             : subject.by == Subject::By::kName   ? 1
                                                                  : 2;
    const auto [place, is_new] = places[list].emplace(subject.text, places[list].size());
    asked.emplace_back(list, place->second);
    if (!is_new) continue;
    if (list == 0) {
      ids.Add(subject.text);
    } else if (list == 1) {
      names.Add(subject.text);
    } else {
      const auto digest = Digest::FromHex(subject.text);
      if (!digest) return digest.error();
      digests.Add(postgres::BytesView(*digest));
    }
  }

  const auto read = pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<void> {
    for (std::size_t list = 0; list < 3; ++list) {
      found[list].assign(places[list].size(), Matches{});
    }
    for (const auto& row :
         tx.exec_params(kResolve, task, ids.Parameter(), names.Parameter(), digests.Parameter())) {
      Matches& matches = found[row[0].as<std::size_t>()][row[1].as<std::size_t>() - 1];
      if (row[3].as<bool>()) {
        matches.in_use = row[2].as<SampleId>();
        ++matches.in_use_count;
      } else {
        matches.deactivated = row[2].as<SampleId>();
        ++matches.deactivated_count;
      }
    }
    return {};
  });
  if (!read) return read.error();

  std::vector<Resolution> resolutions;
  resolutions.reserve(subjects.size());
  for (const auto& [list, place] : asked) {
    const Matches& matches = found[list][place];
    Resolution resolution;
    resolution.matches =
        matches.in_use_count > 0 ? matches.in_use_count : matches.deactivated_count;
    if (resolution.matches == 1) {
      resolution.sample_id = matches.in_use_count > 0 ? matches.in_use : matches.deactivated;
    }
    resolutions.push_back(std::move(resolution));
  }
  return resolutions;
}

Result<SaveOutcome> SaveVotes(pqxx::work& tx, const std::string& task,
                              std::span<const ResolvedVote> votes, Precedence precedence) {
  const auto kinds = LockAnnotators(tx, task, votes);
  if (!kinds) return kinds.error();

  SaveOutcome outcome;
  std::vector<Vote> good;
  good.reserve(votes.size());
  for (std::size_t place = 0; place < votes.size(); ++place) {
    Vote vote = votes[place].vote;
    const AnnotatorKind known = kinds->find(vote.annotator)->second;
    if (votes[place].kind_given && vote.annotator_kind != known) {
      outcome.conflicts.push_back({place, known});
      continue;
    }
    vote.annotator_kind = known;
    good.push_back(std::move(vote));
  }
  std::sort(good.begin(), good.end(), [](const Vote& a, const Vote& b) {
    return std::tie(a.sample_id, a.annotator, a.source) <
           std::tie(b.sample_id, b.annotator, b.source);
  });

  VoteColumns columns;
  for (const Vote& vote : good) columns.Add(vote);
  const std::size_t inserted = columns.Insert(tx, task);
  std::vector<bool> was_there(good.size(), false);
  std::size_t replaced = 0;
  if (inserted < good.size()) {
    VoteColumns replacing;
    postgres::TextArray superseded;
    const auto in_force =
        tx.exec_params(kFindInForce, columns.sample_ids.Parameter(), columns.annotators.Parameter(),
                       columns.sources.Parameter());
    for (const auto& row : in_force) {
      const std::size_t place = row[0].as<std::size_t>() - 1;
      const Vote& vote = good[place];
      if (vote.vote_id.text() == row[1].c_str()) continue;  // The one just added.
      was_there[place] = true;
      const bool same_class = vote.class_name == row[2].c_str();
      if (precedence == Precedence::kLastToCome) {
        if (same_class) continue;
      } else {
        const auto standing = std::pair(row[3].as<Timestamp>(), row[2].as<std::string>());
        if (std::pair(vote.voted_at, vote.class_name) <= standing) continue;
      }
      superseded.Add(row[1].c_str());
      replacing.Add(vote);
      ++replaced;
    }
    if (replaced > 0) {
      tx.exec_params(kSupersede, task, superseded.Parameter());
      if (replacing.Insert(tx, task) != replaced) {
        return Error{ErrorCode::kAborted, "votes of task " + task + " changed meanwhile"};
      }
    }
  }

  std::map<std::string_view, std::int64_t> added;
  for (std::size_t place = 0; place < good.size(); ++place) {
    if (!was_there[place]) ++added[good[place].annotator];
  }
  if (!added.empty()) {
    postgres::TextArray names;
    postgres::BigintArray counts;
    for (const auto& [name, count] : added) {
      names.Add(name);
      counts.Add(count);
    }
    tx.exec_params(kCountVotes, task, names.Parameter(), counts.Parameter());
  }
  outcome.accepted = static_cast<std::uint32_t>(inserted + replaced);
  outcome.unchanged = static_cast<std::uint32_t>(good.size() - inserted - replaced);
  return outcome;
}

Result<SaveOutcome> PostgresVoteStore::Save(const std::string& task,
                                            std::span<const ResolvedVote> votes) {
  return pool_.InTransaction(
      [&](pqxx::work& tx) -> Result<SaveOutcome> { return SaveVotes(tx, task, votes); });
}

Result<std::vector<Vote>> PostgresVoteStore::List(const VoteFilter& filter, const VoteId& after,
                                                  std::size_t at_most) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<Vote>> {
    const std::string from = after.empty() ? kBeforeAllIds : after.text();
    const auto rows =
        filter.sample_id.empty()
            ? tx.exec_params(kListVotes, filter.task, from, at_most)
            : tx.exec_params(kListVotesOfSample, filter.task, from, at_most, filter.sample_id);
    std::vector<Vote> votes;
    votes.reserve(rows.size());
    for (const auto& row : rows) {
      const auto kind = KindOf(row[4]);
      if (!kind) return kind.error();
      votes.push_back({.vote_id = row[0].as<VoteId>(),
                       .sample_id = row[1].as<SampleId>(),
                       .class_name = row[2].as<std::string>(),
                       .annotator = row[3].as<std::string>(),
                       .annotator_kind = *kind,
                       .source = row[5].as<std::string>(),
                       .voted_at = row[6].as<Timestamp>()});
    }
    return votes;
  });
}

}  // namespace tidewheel::labeling
