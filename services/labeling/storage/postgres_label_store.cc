#include "tidewheel/labeling/storage/postgres_label_store.h"

#include <utility>

#include "tidewheel/labeling/stream/label_events.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/outbox.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::labeling {
namespace {

// Waits for the transactions of an older computation that are under way.
constexpr char kBegin[] = R"(
INSERT INTO consensus (task, number, method, begun_at) VALUES ($1, 1, $2, $3)
ON CONFLICT (task) DO UPDATE
SET number = consensus.number + 1, method = excluded.method, begun_at = excluded.begun_at, finished_at = NULL
RETURNING number)";

constexpr char kHoldOff[] = "SELECT number FROM consensus WHERE task = $1 FOR SHARE";

constexpr char kVotes[] = R"(
SELECT sample_id, annotator, class_name, voted_at FROM votes
WHERE task = %TASK% AND superseded_at IS NULL
ORDER BY sample_id, annotator, source)";

constexpr char kNewestLabels[] = R"(
SELECT label_id, sample_id, class_name, confidence, method, version, votes, decided_at FROM labels
WHERE task = %TASK% AND superseded_at IS NULL
ORDER BY sample_id)";

constexpr char kSupersede[] = R"(
UPDATE labels SET superseded_at = now()
FROM unnest($2::text[]) AS old (sample_id)
WHERE labels.task = $1 AND labels.sample_id = old.sample_id::uuid AND labels.superseded_at IS NULL)";

constexpr char kInsertLabels[] = R"(
INSERT INTO labels (label_id, task, sample_id, version, class_name, confidence, method, votes, decided_at)
SELECT l.label_id::uuid, $1, l.sample_id::uuid, l.version, l.class_name, l.confidence, l.method, l.votes, l.decided_at
FROM unnest($2::text[], $3::text[], $4::integer[], $5::text[], $6::double precision[], $7::text[], $8::integer[],
            $9::timestamptz[])
  AS l (label_id, sample_id, version, class_name, confidence, method, votes, decided_at))";

constexpr char kFinish[] = R"(
UPDATE consensus
SET finished_at = $3, samples = $4, votes = $5, changed = $6, without_label = $7, ties = $8, rounds = $9
WHERE task = $1 AND number = $2)";

constexpr char kJudge[] = R"(
UPDATE annotators SET quality = q.quality, agreement = q.agreement
FROM unnest($2::text[], $3::double precision[], $4::double precision[]) AS q (annotator, quality, agreement)
WHERE annotators.task = $1 AND annotators.annotator = q.annotator)";

// Those whose answers are the same as last time keep what was said then.
constexpr char kAssess[] = R"(
UPDATE annotators SET recent_votes = q.recent_votes, recent_agreed = q.recent_agreed, earlier_votes = q.earlier_votes,
                      earlier_agreed = q.earlier_agreed, worse_p_value = q.p_value, assessed_at = $2,
                      assessed_votes = q.answers, assessed_until = q.until
FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::double precision[], $9::bigint[],
            $10::timestamptz[])
  AS q (annotator, recent_votes, recent_agreed, earlier_votes, earlier_agreed, p_value, answers, until)
WHERE annotators.task = $1 AND annotators.annotator = q.annotator
  AND (annotators.assessed_votes, annotators.assessed_until) IS DISTINCT FROM (q.answers, q.until)
RETURNING annotators.annotator)";

constexpr char kKinds[] = "SELECT annotator, kind FROM annotators WHERE task = $1";

constexpr char kGoldAnswers[] = R"(
SELECT l.annotator, l.class_name, i.gold_class, l.ended_at
FROM items i JOIN leases l USING (item_id)
WHERE i.task = $1 AND i.gold_class IS NOT NULL AND l.state = 'answered'
ORDER BY l.ended_at, l.lease_id)";

constexpr char kHistory[] = R"(
SELECT label_id, sample_id, class_name, confidence, method, version, votes, decided_at FROM labels
WHERE sample_id = $1::uuid
ORDER BY version DESC
LIMIT 101)";

constexpr char kList[] = R"(
SELECT label_id, sample_id, class_name, confidence, method, version, votes, decided_at FROM labels
WHERE task = $1 AND superseded_at IS NULL AND class_name IS NOT NULL AND sample_id > $2::uuid
ORDER BY sample_id
LIMIT $3)";

constexpr char kListOfClass[] = R"(
SELECT label_id, sample_id, class_name, confidence, method, version, votes, decided_at FROM labels
WHERE task = $1 AND superseded_at IS NULL AND class_name = $4 AND sample_id > $2::uuid
ORDER BY sample_id
LIMIT $3)";

constexpr char kListAnnotators[] = R"(
SELECT annotator, kind, votes, quality, agreement, recent_votes, recent_agreed, earlier_votes, earlier_agreed,
       worse_p_value, assessed_at
FROM annotators
WHERE task = $1 AND annotator COLLATE "C" > $2
ORDER BY annotator COLLATE "C"
LIMIT $3)";

constexpr char kBeforeAllIds[] = "00000000-0000-0000-0000-000000000000";
constexpr int kRowsAtOnce = 10'000;

Result<Label> LabelOf(const pqxx::row& row) {
  const auto method = ParseConsensusMethod(row[4].c_str());
  if (!method) return Error{ErrorCode::kInternal, method.error().message};
  return Label{.label_id = row[0].as<LabelId>(),
               .sample_id = row[1].as<SampleId>(),
               .class_name = row[2].is_null() ? std::string() : row[2].as<std::string>(),
               .confidence = row[3].as<double>(),
               .method = *method,
               .version = row[5].as<std::uint32_t>(),
               .votes = row[6].as<std::uint32_t>(),
               .decided_at = row[7].as<Timestamp>()};
}

Result<std::vector<Label>> LabelsOf(const pqxx::result& rows) {
  std::vector<Label> labels;
  labels.reserve(rows.size());
  for (const auto& row : rows) {
    auto label = LabelOf(row);
    if (!label) return label.error();
    labels.push_back(std::move(*label));
  }
  return labels;
}

/// Reads a task's rows in pieces. `visit` sees each row once: where the connection breaks after the
/// first row this fails rather than starts over.
template <typename Visit>
Result<void> VisitRows(postgres::Pool& pool, std::string query, const std::string& task,
                       const std::string& what, const Visit& visit) {
  bool visited = false;
  return pool.ReadOnly([&](pqxx::transaction_base& tx) -> Result<void> {
    if (visited) {
      return Error{ErrorCode::kUnavailable,
                   "the connection to PostgreSQL broke while " + what + " were read"};
    }
    constexpr std::string_view kPlace = "%TASK%";
    std::string statement = query;
    statement.replace(statement.find(kPlace), kPlace.size(), tx.quote(task));
    // All rows will be read: plan for the last one, not for the first.
    tx.exec("SET LOCAL cursor_tuple_fraction = 1");
    tx.exec("DECLARE visited NO SCROLL CURSOR FOR " + statement);
    const std::string fetch = "FETCH " + std::to_string(kRowsAtOnce) + " FROM visited";
    while (true) {
      const auto rows = tx.exec(fetch);
      if (rows.empty()) return {};
      visited = true;
      for (const auto& row : rows) {
        if (const Result<void> seen = visit(row); !seen) return seen.error();
      }
    }
  });
}

/// Lets nobody begin a younger computation until this transaction ends.
Result<void> HoldOff(pqxx::work& tx, const Computation& computation) {
  const auto rows = tx.exec_params(kHoldOff, computation.task);
  if (!rows.empty() && rows[0][0].as<std::uint64_t>() == computation.number) return {};
  return Error{ErrorCode::kAborted,
               "a later computation of the labels of task " + computation.task + " has begun"};
}

}  // namespace

Result<Computation> PostgresLabelStore::Begin(const std::string& task, ConsensusMethod method,
                                              Timestamp at) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<Computation> {
    const auto row = tx.exec_params1(kBegin, task, Name(method), at);
    return Computation{.task = task, .number = row[0].as<std::uint64_t>()};
  });
}

Result<void> PostgresLabelStore::VisitVotes(const std::string& task, const VoteVisitor& visit) {
  return VisitRows(pool_, kVotes, task, "votes", [&](const pqxx::row& row) -> Result<void> {
    visit({row[0].c_str(), row[0].size()}, {row[1].c_str(), row[1].size()},
          {row[2].c_str(), row[2].size()}, row[3].as<Timestamp>());
    return {};
  });
}

Result<std::map<std::string, AnnotatorKind, std::less<>>> PostgresLabelStore::Kinds(
    const std::string& task) {
  using Kinds = std::map<std::string, AnnotatorKind, std::less<>>;
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Kinds> {
    Kinds kinds;
    for (const auto& row : tx.exec_params(kKinds, task)) {
      const auto kind = ParseAnnotatorKind(row[1].c_str());
      if (!kind) {
        return Error{ErrorCode::kInternal, "unknown annotator kind " + std::string(row[1].c_str())};
      }
      kinds.emplace(row[0].as<std::string>(), *kind);
    }
    return kinds;
  });
}

Result<std::vector<GoldAnswer>> PostgresLabelStore::GoldAnswers(const std::string& task) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<GoldAnswer>> {
    std::vector<GoldAnswer> answers;
    for (const auto& row : tx.exec_params(kGoldAnswers, task)) {
      answers.push_back({.annotator = row[0].as<std::string>(),
                         .class_name = row[1].as<std::string>(),
                         .known_class = row[2].as<std::string>(),
                         .at = row[3].as<Timestamp>()});
    }
    return answers;
  });
}

Result<void> PostgresLabelStore::VisitLabels(const std::string& task, const LabelVisitor& visit) {
  return VisitRows(pool_, kNewestLabels, task, "labels", [&](const pqxx::row& row) -> Result<void> {
    const auto label = LabelOf(row);
    if (!label) return label.error();
    visit(*label);
    return {};
  });
}

Result<void> PostgresLabelStore::Save(const Computation& computation,
                                      std::span<const Label> labels) {
  postgres::TextArray superseded;
  postgres::TextArray label_ids, sample_ids, class_names, methods;
  postgres::IntegerArray versions, votes;
  postgres::DoubleArray confidences;
  postgres::TimestampArray decided_at;
  std::vector<postgres::OutboxMessage> events;
  events.reserve(labels.size());
  for (const Label& label : labels) {
    if (label.version > 1) superseded.Add(label.sample_id.text());
    label_ids.Add(label.label_id.text());
    sample_ids.Add(label.sample_id.text());
    versions.Add(static_cast<std::int32_t>(label.version));
    if (label.withdrawn()) {
      class_names.AddNull();
    } else {
      class_names.Add(label.class_name);
    }
    confidences.Add(label.confidence);
    methods.Add(Name(label.method));
    votes.Add(static_cast<std::int32_t>(label.votes));
    decided_at.Add(label.decided_at);
    events.push_back(ToEvent(computation.task, label));
  }

  return pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
    if (const auto held = HoldOff(tx, computation); !held) return held.error();
    if (superseded.size() > 0) tx.exec_params(kSupersede, computation.task, superseded.Parameter());
    tx.exec_params(kInsertLabels, computation.task, label_ids.Parameter(), sample_ids.Parameter(),
                   versions.Parameter(), class_names.Parameter(), confidences.Parameter(),
                   methods.Parameter(), votes.Parameter(), decided_at.Parameter());
    return postgres::Outbox("labeling").Enqueue(tx, events);
  });
}

Result<void> PostgresLabelStore::Finish(const Computation& computation,
                                        const ConsensusReport& report,
                                        std::span<const AnnotatorQuality> annotators,
                                        Timestamp at) {
  postgres::TextArray names, assessed;
  postgres::DoubleArray qualities, agreements, p_values;
  postgres::BigintArray recent_votes, recent_agreed, earlier_votes, earlier_agreed, answers;
  postgres::TimestampArray until;
  std::map<std::string_view, const AnnotatorQuality*> by_name;
  for (const AnnotatorQuality& judged : annotators) {
    names.Add(judged.annotator);
    qualities.Add(judged.quality);
    agreements.AddOptional(judged.agreement);
    if (!judged.recent) continue;
    by_name.emplace(judged.annotator, &judged);
    assessed.Add(judged.annotator);
    recent_votes.Add(static_cast<std::int64_t>(judged.recent->recent_votes));
    recent_agreed.Add(static_cast<std::int64_t>(judged.recent->recent_agreed));
    earlier_votes.Add(static_cast<std::int64_t>(judged.recent->earlier_votes));
    earlier_agreed.Add(static_cast<std::int64_t>(judged.recent->earlier_agreed));
    p_values.Add(judged.recent->worse_p_value);
    answers.Add(static_cast<std::int64_t>(judged.answers));
    until.Add(judged.last_answer_at);
  }
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
    if (const auto held = HoldOff(tx, computation); !held) return held.error();
    tx.exec_params(kJudge, computation.task, names.Parameter(), qualities.Parameter(),
                   agreements.Parameter());
    tx.exec_params(kFinish, computation.task, computation.number, at, report.samples, report.votes,
                   report.changed, report.without_label, report.ties, report.rounds);
    if (assessed.size() == 0) return {};
    std::vector<postgres::OutboxMessage> events;
    for (const auto& row : tx.exec_params(
             kAssess, computation.task, at, assessed.Parameter(), recent_votes.Parameter(),
             recent_agreed.Parameter(), earlier_votes.Parameter(), earlier_agreed.Parameter(),
             p_values.Parameter(), answers.Parameter(), until.Parameter())) {
      events.push_back(ToEvent(computation.task, *by_name.at(row[0].c_str()), at));
    }
    return postgres::Outbox("labeling").Enqueue(tx, events);
  });
}

Result<LabelHistory> PostgresLabelStore::Find(const SampleId& sample) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<LabelHistory> {
    auto versions = LabelsOf(tx.exec_params(kHistory, sample));
    if (!versions) return versions.error();
    if (versions->empty()) {
      return Error{ErrorCode::kNotFound, "sample " + sample.text() + " has no label"};
    }
    if (versions->front().withdrawn()) {
      return Error{ErrorCode::kNotFound,
                   "sample " + sample.text() + " has no label: it was withdrawn at " +
                       FormatUtc(versions->front().decided_at) + " for too few votes"};
    }
    LabelHistory history{.label = std::move(versions->front()), .earlier = {}};
    versions->erase(versions->begin());
    history.earlier = std::move(*versions);
    return history;
  });
}

Result<std::vector<Label>> PostgresLabelStore::List(const LabelFilter& filter,
                                                    const SampleId& after, std::size_t at_most) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<Label>> {
    const std::string from = after.empty() ? kBeforeAllIds : after.text();
    return LabelsOf(filter.class_name.empty() ? tx.exec_params(kList, filter.task, from, at_most)
                                              : tx.exec_params(kListOfClass, filter.task, from,
                                                               at_most, filter.class_name));
  });
}

Result<std::vector<Annotator>> PostgresLabelStore::ListAnnotators(const std::string& task,
                                                                  const std::string& after,
                                                                  std::size_t at_most) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<Annotator>> {
    std::vector<Annotator> annotators;
    for (const auto& row : tx.exec_params(kListAnnotators, task, after, at_most)) {
      const auto kind = ParseAnnotatorKind(row[1].c_str());
      if (!kind) {
        return Error{ErrorCode::kInternal, "unknown annotator kind " + std::string(row[1].c_str())};
      }
      Annotator annotator{.annotator = row[0].as<std::string>(),
                          .kind = *kind,
                          .votes = row[2].as<std::uint64_t>(),
                          .quality = row[3].as<std::optional<double>>(),
                          .agreement = row[4].as<std::optional<double>>(),
                          .recent = {},
                          .assessed_at = row[10].as<std::optional<Timestamp>>()};
      if (!row[5].is_null()) {
        annotator.recent = RecentQuality{.recent_votes = row[5].as<std::uint64_t>(),
                                         .recent_agreed = row[6].as<std::uint64_t>(),
                                         .earlier_votes = row[7].as<std::uint64_t>(),
                                         .earlier_agreed = row[8].as<std::uint64_t>(),
                                         .worse_p_value = row[9].as<double>()};
      }
      annotators.push_back(std::move(annotator));
    }
    return annotators;
  });
}

}  // namespace tidewheel::labeling
