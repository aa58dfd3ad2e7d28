#include "tidewheel/labeling/storage/postgres_queue_store.h"

#include <algorithm>
#include <pqxx/pqxx>
#include <set>
#include <tuple>
#include <utility>

#include "tidewheel/base/random.h"
#include "tidewheel/labeling/storage/save_votes.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::labeling {
namespace {

constexpr char kInsertBatch[] = R"(
INSERT INTO batches (batch_id, task, votes_wanted, state, queued_at)
VALUES ($1, $2, $3, 'open', $4)
ON CONFLICT (batch_id) DO NOTHING)";

// A group that was formed by resemblance is named by the digest of its first member.
constexpr char kSampleFacts[] = R"(
SELECT w.place, s.deactivated_at IS NULL AS active,
       EXISTS (SELECT 1 FROM labels l
               WHERE l.task = $1 AND l.sample_id = s.sample_id AND l.superseded_at IS NULL
                 AND l.class_name IS NOT NULL AND l.confidence >= $3) AS labeled,
       EXISTS (SELECT 1 FROM items i
               WHERE i.task = $1 AND i.sample_id = s.sample_id AND i.state = 'waiting'
                 AND i.gold_class IS NULL) AS queued,
       CASE WHEN g.formed THEN s.group_key ELSE '' END AS look_alikes,
       g.formed AND EXISTS (
           SELECT 1 FROM ingestion.samples_v1 o
           JOIN labels l ON l.task = $1 AND l.sample_id = o.sample_id AND l.superseded_at IS NULL
                        AND l.class_name IS NOT NULL AND l.confidence >= $3
           WHERE o.task = $1 AND o.group_key = s.group_key AND o.sample_id <> s.sample_id
             AND o.deactivated_at IS NULL) AS look_alike_labeled,
       g.formed AND EXISTS (
           SELECT 1 FROM ingestion.samples_v1 o
           JOIN items i ON i.task = $1 AND i.sample_id = o.sample_id AND i.state = 'waiting'
                       AND i.gold_class IS NULL
           WHERE o.task = $1 AND o.group_key = s.group_key AND o.sample_id <> s.sample_id)
           AS look_alike_queued
FROM unnest($2::text[]) WITH ORDINALITY AS w (sample_id, place)
JOIN ingestion.samples_v1 s ON s.sample_id = w.sample_id::uuid AND s.task = $1
CROSS JOIN LATERAL (SELECT s.group_key ~ '^[0-9a-f]{64}$' AS formed) g)";

// Labels that several votes, or the data's own label, stand behind.
constexpr char kGold[] = R"(
SELECT l.sample_id, l.class_name
FROM labels l
JOIN ingestion.samples_v1 s ON s.sample_id = l.sample_id AND s.task = l.task
WHERE l.task = $1 AND l.superseded_at IS NULL AND l.class_name IS NOT NULL
  AND l.confidence >= greatest($2, 0.9) AND s.deactivated_at IS NULL
  AND (l.votes >= 2 OR EXISTS (SELECT 1 FROM votes v
                               WHERE v.sample_id = l.sample_id AND v.task = l.task AND v.superseded_at IS NULL
                                 AND v.annotator_kind = 'import' AND v.class_name = l.class_name))
  AND NOT l.sample_id = ANY ($3::uuid[])
ORDER BY md5(l.sample_id::text || $4)
LIMIT $5)";

constexpr char kInsertItems[] = R"(
INSERT INTO items (item_id, batch_id, task, sample_id, priority, reason, gold_class, votes_wanted)
SELECT n.item_id::uuid, $1, $2, n.sample_id::uuid, n.priority, n.reason, nullif(n.gold_class, ''), $3
FROM unnest($4::text[], $5::text[], $6::double precision[], $7::text[], $8::text[]) WITH ORDINALITY
  AS n (item_id, sample_id, priority, reason, gold_class, place)
ORDER BY n.place
ON CONFLICT (task, sample_id) WHERE state = 'waiting' AND gold_class IS NULL DO NOTHING)";

constexpr char kSetSkipped[] = "UPDATE batches SET skipped = $2::jsonb WHERE batch_id = $1";
constexpr char kReadSkipped[] =
    "SELECT key, value::integer FROM batches, jsonb_each_text(skipped) WHERE batch_id = $1";

constexpr char kBatchColumns[] = R"(
SELECT b.number, b.batch_id, b.task, b.votes_wanted, b.state, b.queued_at, b.completed_at,
       b.cancelled_because, b.votes, n.items, n.answered, n.unjudged, n.gold_items, n.labels
FROM batches b
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE i.gold_class IS NULL) AS items,
           count(*) FILTER (WHERE i.gold_class IS NULL AND i.state = 'answered') AS answered,
           count(*) FILTER (WHERE i.gold_class IS NULL AND i.state = 'unjudged') AS unjudged,
           count(i.gold_class) AS gold_items,
           count(l.label_id) FILTER (WHERE i.gold_class IS NULL) AS labels
    FROM items i
    LEFT JOIN labels l ON l.task = i.task AND l.sample_id = i.sample_id AND l.superseded_at IS NULL
                      AND l.class_name IS NOT NULL
    WHERE i.batch_id = b.batch_id) n
)";
constexpr char kOfId[] = "WHERE b.batch_id = $1";
constexpr char kNewestFirst[] =
    "WHERE ($1 = '' OR b.task = $1) AND ($2 = 0 OR b.number < $2) ORDER BY b.number DESC LIMIT $3";

constexpr char kLockBatches[] = R"(
SELECT batch_id, task, state, settled_at IS NOT NULL FROM batches
WHERE batch_id = ANY ($1::text[])
ORDER BY batch_id
FOR UPDATE)";

constexpr char kCancelBatch[] = R"(
UPDATE batches SET state = 'cancelled', cancelled_because = $2, settled_at = $3::timestamptz,
                   completed_at = CASE WHEN votes = 0 THEN $3::timestamptz END
WHERE batch_id = $1)";
constexpr char kCancelItems[] =
    "UPDATE items SET state = 'cancelled' WHERE batch_id = $1 AND state = 'waiting'";

// Whom an item is not for: who answered it or gave it up, has it, or voted on the sample before.
constexpr char kLeasable[] = R"(
  i.state = 'waiting'
  AND NOT EXISTS (SELECT 1 FROM leases l
                  WHERE l.item_id = i.item_id AND l.annotator = $1
                    AND (l.state IN ('answered', 'declined') OR (l.state = 'open' AND l.expires_at > $2)))
  AND NOT EXISTS (SELECT 1 FROM items o JOIN leases l ON l.item_id = o.item_id
                  WHERE o.task = i.task AND o.sample_id = i.sample_id AND o.item_id <> i.item_id
                    AND l.annotator = $1 AND l.state IN ('answered', 'declined'))
  AND NOT EXISTS (SELECT 1 FROM votes v
                  WHERE v.sample_id = i.sample_id AND v.annotator = $1 AND v.task = i.task AND v.superseded_at IS NULL)
  AND (SELECT count(*) FROM leases l
       WHERE l.item_id = i.item_id AND l.state = 'open' AND l.expires_at > $2) < i.votes_wanted - i.votes
)";

constexpr char kCandidates[] = "SELECT i.item_id FROM items i WHERE ($3 = '' OR i.task = $3) AND";
constexpr char kMostUrgent[] =
    "ORDER BY i.priority DESC, i.number LIMIT $4 FOR UPDATE OF i SKIP LOCKED";

// A statement of its own: it sees the leases of whoever had these items before us.
constexpr char kInsertLeases[] =
    "INSERT INTO leases (lease_id, item_id, batch_id, annotator, leased_at, expires_at) "
    "SELECT gen_random_uuid(), i.item_id, i.batch_id, $1, $2, $3 FROM items i "
    "WHERE i.item_id = ANY ($4::uuid[]) AND";
constexpr char kReturning[] = "RETURNING lease_id, item_id";

constexpr char kLeasedItems[] = R"(
SELECT i.number, i.item_id, i.batch_id, i.task, i.sample_id, i.priority, i.reason, false AS gold, i.votes,
       i.votes_wanted, 'leased' AS state, l.lease_id, l.annotator, l.expires_at
FROM leases l JOIN items i USING (item_id)
WHERE l.lease_id = ANY ($1::uuid[])
ORDER BY i.priority DESC, i.number)";

constexpr char kListItems[] = R"(
SELECT * FROM (
    SELECT i.number, i.item_id, i.batch_id, i.task, i.sample_id, i.priority, i.reason,
           i.gold_class IS NOT NULL AS gold, i.votes, i.votes_wanted,
           CASE WHEN i.state = 'waiting' AND l.lease_id IS NOT NULL THEN 'leased' ELSE i.state END AS state,
           l.lease_id, l.annotator, l.expires_at
    FROM items i
    LEFT JOIN LATERAL (
        SELECT l.lease_id, l.annotator, l.expires_at FROM leases l
        WHERE i.state = 'waiting' AND l.item_id = i.item_id AND l.state = 'open' AND l.expires_at > $1
        ORDER BY l.expires_at DESC
        LIMIT 1) l ON true
    WHERE i.number > $2 AND ($3 = '' OR i.task = $3) AND ($4 = '' OR i.batch_id = $4)) q
WHERE $5 = '' OR q.state = $5
ORDER BY q.number
LIMIT $6)";

constexpr char kFindLeases[] = R"(
SELECT l.lease_id, l.annotator, i.batch_id, i.task, i.sample_id, l.state, l.class_name, i.state, i.votes,
       i.votes_wanted,
       EXISTS (SELECT 1 FROM leases o
               WHERE o.item_id = l.item_id AND o.annotator = l.annotator AND o.lease_id <> l.lease_id
                 AND o.state IN ('answered', 'declined')),
       i.item_id, i.gold_class IS NOT NULL
FROM leases l JOIN items i USING (item_id)
WHERE l.lease_id = ANY ($1::uuid[])
)";
constexpr char kLocked[] = "ORDER BY i.number FOR UPDATE OF i, l";
constexpr char kBatchesOfLeases[] =
    "SELECT DISTINCT batch_id FROM leases WHERE lease_id = ANY ($1::uuid[])";

constexpr char kEndLeases[] = R"(
UPDATE leases SET state = 'answered', class_name = e.class_name, ended_at = $1
FROM unnest($2::text[], $3::text[]) AS e (lease_id, class_name)
WHERE leases.lease_id = e.lease_id::uuid)";
constexpr char kCountVotes[] = R"(
WITH counted AS (
    UPDATE items SET votes = items.votes + 1,
                     state = CASE WHEN items.votes + 1 >= items.votes_wanted THEN 'answered' ELSE items.state END
    FROM unnest($1::text[]) AS v (item_id)
    WHERE items.item_id = v.item_id::uuid
    RETURNING items.batch_id)
UPDATE batches SET votes = batches.votes + c.votes
FROM (SELECT batch_id, count(*) AS votes FROM counted GROUP BY batch_id) c
WHERE batches.batch_id = c.batch_id)";

constexpr char kKnowAnnotator[] = R"(
INSERT INTO annotators (task, annotator, kind) VALUES ($1, $2, $3)
ON CONFLICT (task, annotator) DO NOTHING)";

constexpr char kRelease[] = R"(
UPDATE leases l SET state = $3, ended_at = $4
WHERE l.lease_id = ANY ($1::uuid[]) AND l.annotator = $2 AND l.state = 'open'
  AND NOT EXISTS (SELECT 1 FROM leases o
                  WHERE o.item_id = l.item_id AND o.annotator = l.annotator AND o.lease_id <> l.lease_id
                    AND o.state IN ('answered', 'declined')))";

// An item that was given up waits for others while there is something else to do; then for those
// who are about.
constexpr char kSetUnjudged[] = R"(
UPDATE items i SET state = 'unjudged'
FROM (SELECT item_id, count(*) AS times FROM leases WHERE batch_id = $1 AND state = 'declined' GROUP BY item_id) d
WHERE i.batch_id = $1 AND i.state = 'waiting' AND i.gold_class IS NULL AND d.item_id = i.item_id
  AND (d.times >= $3
       OR (NOT EXISTS (SELECT 1 FROM items o
                       WHERE o.batch_id = $1 AND o.state = 'waiting' AND o.gold_class IS NULL
                         AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.item_id = o.item_id AND l.state = 'declined'))
           AND NOT EXISTS (SELECT 1 FROM leases l
                           WHERE l.item_id = i.item_id AND l.state = 'open' AND l.expires_at > $2)
           AND NOT EXISTS (SELECT 1 FROM leases p
                           WHERE p.batch_id = $1 AND p.leased_at > $4
                             AND NOT EXISTS (SELECT 1 FROM leases l
                                             WHERE l.item_id = i.item_id AND l.annotator = p.annotator
                                               AND l.state IN ('answered', 'declined'))
                             AND NOT EXISTS (SELECT 1 FROM votes v
                                             WHERE v.sample_id = i.sample_id AND v.annotator = p.annotator
                                               AND v.superseded_at IS NULL)))))";

constexpr char kSettleBatch[] = R"(
UPDATE batches SET settled_at = $2
WHERE batch_id = $1 AND state = 'open' AND settled_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM items i
                  WHERE i.batch_id = $1 AND i.state = 'waiting' AND i.gold_class IS NULL)
RETURNING task)";

constexpr char kGivenUp[] = R"(
SELECT b.batch_id FROM batches b
WHERE b.state = 'open' AND b.settled_at IS NULL
  AND EXISTS (SELECT 1 FROM leases l WHERE l.batch_id = b.batch_id AND l.state = 'declined')
ORDER BY b.batch_id)";

constexpr char kSetDue[] = R"(
INSERT INTO label_work (task, due_at) VALUES ($1, $2)
ON CONFLICT (task) DO UPDATE SET due_at = least(label_work.due_at, excluded.due_at), number = label_work.number + 1)";
constexpr char kDueTasks[] = "SELECT task FROM label_work WHERE due_at <= $1 ORDER BY due_at, task";
constexpr char kTryTask[] =
    "SELECT pg_try_advisory_xact_lock(hashtextextended('labeling.compute/' || $1, 0))";
constexpr char kDueNumber[] = "SELECT number FROM label_work WHERE task = $1 AND due_at <= $2";
constexpr char kSettledBatches[] =
    "SELECT batch_id FROM batches WHERE task = $1 AND settled_at IS NOT NULL AND completed_at IS "
    "NULL";
constexpr char kCompleteBatches[] = R"(
UPDATE batches SET completed_at = $2, state = CASE WHEN state = 'open' THEN 'complete' ELSE state END
WHERE batch_id = ANY ($1::text[]))";
constexpr char kWorkDone[] = "DELETE FROM label_work WHERE task = $1 AND number = $2";
constexpr char kWorkLater[] = "UPDATE label_work SET due_at = $2 WHERE task = $1 AND due_at < $2";
constexpr char kHasVotes[] =
    "SELECT EXISTS (SELECT 1 FROM votes WHERE task = $1 AND superseded_at IS NULL)";

constexpr char kLockOutcomes[] =
    "SELECT pg_advisory_xact_lock(hashtextextended('labeling.outcomes/' || $1, 0))";
constexpr char kKeepOutcomes[] = R"(
INSERT INTO pending_outcomes (task, request_id, request_index, source, class_name, observed_at, received_at)
SELECT $1, o.request_id, o.request_index, o.source, o.class_name, o.observed_at, $2
FROM unnest($3::text[], $4::integer[], $5::text[], $6::text[], $7::timestamptz[])
  AS o (request_id, request_index, source, class_name, observed_at)
ON CONFLICT (task, request_id, request_index, source) DO UPDATE
SET class_name = excluded.class_name, observed_at = excluded.observed_at, received_at = excluded.received_at
WHERE (excluded.observed_at, excluded.class_name) > (pending_outcomes.observed_at, pending_outcomes.class_name))";
constexpr char kTakeJoined[] = R"(
DELETE FROM pending_outcomes p
USING unnest($2::text[], $3::integer[]) AS w (request_id, request_index), ingestion.captured_requests_v1 c
WHERE p.task = $1 AND p.request_id = w.request_id AND p.request_index = w.request_index
  AND c.task = $1 AND c.request_id = p.request_id AND c.request_index = p.request_index
RETURNING c.sample_id, p.source, p.class_name, p.observed_at)";
constexpr char kDropOutcomes[] = "DELETE FROM pending_outcomes WHERE received_at < $1";

// Votes that cannot be made labels now (a class that left the task) are tried again after this.
constexpr std::chrono::seconds kTryAgainAfter{30};

template <typename Ids>
std::string UuidArray(const Ids& ids) {
  postgres::ArrayLiteral array;
  for (const auto& id : ids) array.AddText(std::string_view(id.text()));
  return array.text();
}

Result<BatchState> BatchStateOf(const pqxx::field& field) {
  for (const BatchState state :
       {BatchState::kOpen, BatchState::kComplete, BatchState::kCancelled}) {
    if (Name(state) == field.c_str()) return state;
  }
  return Error{ErrorCode::kInternal, "unknown batch state " + std::string(field.c_str())};
}

Result<ItemState> ItemStateOf(const pqxx::field& field) {
  if (const auto state = ParseItemState(field.c_str())) return *state;
  return Error{ErrorCode::kInternal, "unknown item state " + std::string(field.c_str())};
}

LeaseState LeaseStateOf(std::string_view name) {
  if (name == "answered") return LeaseState::kAnswered;
  if (name == "released") return LeaseState::kReleased;
  if (name == "declined") return LeaseState::kDeclined;
  return LeaseState::kOpen;
}

Result<Batch> BatchOf(const pqxx::row& row) {
  const auto state = BatchStateOf(row[4]);
  if (!state) return state.error();
  return Batch{.number = row[0].as<std::uint64_t>(),
               .batch_id = row[1].as<std::string>(),
               .task = row[2].as<std::string>(),
               .items = row[9].as<std::uint32_t>(),
               .answered = row[10].as<std::uint32_t>(),
               .unjudged = row[11].as<std::uint32_t>(),
               .gold_items = row[12].as<std::uint32_t>(),
               .votes = row[8].as<std::uint32_t>(),
               .votes_wanted = row[3].as<std::uint32_t>(),
               .labels = row[13].as<std::uint32_t>(),
               .state = *state,
               .queued_at = row[5].as<Timestamp>(),
               .completed_at = row[6].as<std::optional<Timestamp>>(),
               .cancelled_because = row[7].as<std::string>()};
}

Result<Batch> FindBatch(pqxx::transaction_base& tx, const std::string& batch_id) {
  const auto rows = tx.exec_params(std::string(kBatchColumns) + kOfId, batch_id);
  if (rows.empty()) return Error{ErrorCode::kNotFound, "no batch " + batch_id.substr(0, 128)};
  return BatchOf(rows[0]);
}

Result<std::vector<QueueItem>> ItemsOf(const pqxx::result& rows) {
  std::vector<QueueItem> items;
  items.reserve(static_cast<std::size_t>(rows.size()));
  for (const auto& row : rows) {
    const auto state = ItemStateOf(row[10]);
    if (!state) return state.error();
    QueueItem item{.number = row[0].as<std::uint64_t>(),
                   .item_id = row[1].as<QueueItemId>(),
                   .batch_id = row[2].as<std::string>(),
                   .task = row[3].as<std::string>(),
                   .sample_id = row[4].as<SampleId>(),
                   .priority = row[5].as<double>(),
                   .reason = row[6].as<std::string>(),
                   .gold = row[7].as<bool>(),
                   .votes = row[8].as<std::uint32_t>(),
                   .votes_wanted = row[9].as<std::uint32_t>(),
                   .state = *state,
                   .lease_id = {},
                   .leased_by = {},
                   .leased_until = {}};
    if (!row[11].is_null()) {
      item.lease_id = row[11].as<LeaseId>();
      item.leased_by = row[12].as<std::string>();
      item.leased_until = row[13].as<Timestamp>();
    }
    items.push_back(std::move(item));
  }
  return items;
}

/// A lease with what only storage needs.
struct LockedLease {
  LeaseFacts facts;
  std::string item_id;
  bool gold = false;
};

Result<std::map<LeaseId, LockedLease>> LeasesOf(const pqxx::result& rows) {
  std::map<LeaseId, LockedLease> leases;
  for (const auto& row : rows) {
    const auto item_state = ItemStateOf(row[7]);
    if (!item_state) return item_state.error();
    leases[row[0].as<LeaseId>()] = {
        .facts = {.annotator = row[1].as<std::string>(),
                  .batch_id = row[2].as<std::string>(),
                  .task = row[3].as<std::string>(),
                  .sample_id = row[4].as<SampleId>(),
                  .state = LeaseStateOf(row[5].c_str()),
                  .class_name = row[6].is_null() ? std::string() : row[6].as<std::string>(),
                  .item_state = *item_state,
                  .votes = row[8].as<std::uint32_t>(),
                  .votes_wanted = row[9].as<std::uint32_t>(),
                  .declined_or_answered_elsewhere = row[10].as<bool>()},
        .item_id = row[11].as<std::string>(),
        .gold = row[12].as<bool>()};
  }
  return leases;
}

/// Locks the batches of these leases. Their ids.
std::vector<std::string> LockBatchesOf(pqxx::work& tx, const std::string& leases) {
  std::vector<std::string> batches;
  for (const auto& row : tx.exec_params(kBatchesOfLeases, leases)) {
    batches.push_back(row[0].as<std::string>());
  }
  tx.exec_params(kLockBatches, postgres::TextArrayLiteral(batches));
  return batches;
}

/// Sees whether a locked batch has nobody left to ask; then its labels are due.
bool SettleBatch(pqxx::work& tx, const std::string& batch_id, const UnjudgedRule& rule,
                 Timestamp now) {
  tx.exec_params(kSetUnjudged, batch_id, now, rule.declined_by, Timestamp(now - rule.absent_after));
  const auto settled = tx.exec_params(kSettleBatch, batch_id, now);
  if (settled.empty()) return false;
  tx.exec_params(kCancelItems, batch_id);  // Known ones that nobody came to.
  tx.exec_params(kSetDue, settled[0][0].as<std::string>(), now);
  return true;
}

std::string SkippedJson(const std::map<std::string, std::uint32_t>& skipped) {
  std::string json = "{";  // The reasons are our own words.
  for (const auto& [reason, count] : skipped) {
    json += (json.size() > 1 ? ",\"" : "\"") + reason + "\":" + std::to_string(count);
  }
  return json + "}";
}

Result<std::vector<SampleFacts>> FactsOf(pqxx::work& tx, const NewBatch& batch,
                                         double min_confidence) {
  std::vector<SampleFacts> facts(batch.items.size());
  postgres::TextArray ids;
  for (const NewQueueItem& item : batch.items) ids.Add(item.sample_id.text());
  for (const auto& row :
       tx.exec_params(kSampleFacts, batch.task, ids.Parameter(), min_confidence)) {
    facts[row[0].as<std::size_t>() - 1] = {.known = true,
                                           .active = row[1].as<bool>(),
                                           .labeled = row[2].as<bool>(),
                                           .queued = row[3].as<bool>(),
                                           .look_alikes = row[4].as<std::string>(),
                                           .look_alike_labeled = row[5].as<bool>(),
                                           .look_alike_queued = row[6].as<bool>()};
  }
  for (std::size_t i = 0; i < facts.size(); ++i) {
    if (facts[i].known) continue;
    return Error{ErrorCode::kNotFound,
                 "no sample " + batch.items[i].sample_id.text() + " in task " + batch.task};
  }
  return facts;
}

/// The columns of kInsertItems.
struct ItemColumns {
  postgres::TextArray item_ids, sample_ids, reasons, gold_classes;
  postgres::DoubleArray priorities;

  void Add(const std::string& sample, double priority, const std::string& reason,
           const std::string& gold_class) {
    item_ids.Add(NewUuid());
    sample_ids.Add(sample);
    priorities.Add(priority);
    reasons.Add(reason);
    gold_classes.Add(gold_class);
  }
};

/// Rows of `choice`, and of known samples that look like them. How many of the chosen another batch
/// took meanwhile.
std::uint32_t InsertItems(pqxx::work& tx, const NewBatch& batch, const Choice& choice,
                          double min_confidence) {
  ItemColumns columns;
  postgres::ArrayLiteral asked;
  for (const std::size_t place : choice.items) {
    const NewQueueItem& item = batch.items[place];
    asked.AddText(std::string_view(item.sample_id.text()));
    columns.Add(item.sample_id.text(), item.priority, item.reason, "");
  }
  std::size_t gold = 0;
  if (choice.gold > 0) {
    for (const auto& row : tx.exec_params(kGold, batch.task, min_confidence, asked.text(),
                                          batch.batch_id, choice.gold)) {
      // Its place in the queue and its reason are those of a question: nobody can tell it apart.
      const std::uint64_t drawn = StableHash(batch.batch_id, ++gold);
      const NewQueueItem& like = batch.items[choice.items[drawn % choice.items.size()]];
      columns.Add(row[0].as<std::string>(), like.priority, like.reason, row[1].as<std::string>());
    }
  }
  const auto inserted = tx.exec_params(kInsertItems, batch.batch_id, batch.task, batch.votes_wanted,
                                       columns.item_ids.Parameter(), columns.sample_ids.Parameter(),
                                       columns.priorities.Parameter(), columns.reasons.Parameter(),
                                       columns.gold_classes.Parameter())
                            .affected_rows();
  return static_cast<std::uint32_t>(choice.items.size() + gold -
                                    static_cast<std::size_t>(inserted));
}

/// How many waiting outcomes found their sample, and how many votes that made.
struct Joined {
  std::uint32_t outcomes = 0;
  std::uint32_t votes = 0;
};

/// Waiting outcomes of these requests whose sample is known become votes.
Result<Joined> VoteForJoined(pqxx::work& tx, const std::string& task,
                             const postgres::TextArray& requests,
                             const postgres::IntegerArray& indices, Timestamp due) {
  Joined joined;
  // Of several on one sample the latest observed.
  std::map<std::pair<std::string, std::string>, std::pair<Timestamp, std::string>> latest;
  for (const auto& row :
       tx.exec_params(kTakeJoined, task, requests.Parameter(), indices.Parameter())) {
    const std::pair said(row[3].as<Timestamp>(), row[2].as<std::string>());
    auto& standing = latest[{row[0].as<std::string>(), row[1].as<std::string>()}];
    if (standing.second.empty() || said > standing) standing = said;
    ++joined.outcomes;
  }
  std::vector<ResolvedVote> votes;
  for (const auto& [about, said] : latest) {
    votes.push_back({.vote = {.vote_id = VoteId(NewUuid()),
                              .sample_id = SampleId(about.first),
                              .class_name = said.second,
                              .annotator = "outcome:" + about.second,
                              .annotator_kind = AnnotatorKind::kOutcome,
                              .source = "outcome",
                              .voted_at = said.first},
                     .kind_given = true});
  }
  if (votes.empty()) return joined;
  const auto saved = SaveVotes(tx, task, votes, Precedence::kLastObserved);
  if (!saved) return saved.error();
  if (saved->accepted > 0) tx.exec_params(kSetDue, task, due);
  joined.votes = saved->accepted;
  return joined;
}

}  // namespace

Result<EnqueueOutcome> PostgresQueueStore::Enqueue(const NewBatch& batch, double min_confidence,
                                                   Timestamp now) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<EnqueueOutcome> {
    EnqueueOutcome outcome;
    outcome.created =
        tx.exec_params(kInsertBatch, batch.batch_id, batch.task, batch.votes_wanted, now)
            .affected_rows() > 0;
    if (!outcome.created) {
      auto there = FindBatch(tx, batch.batch_id);
      if (!there) return there.error();
      if (there->task != batch.task) {
        return Error{ErrorCode::kAlreadyExists,
                     "batch " + batch.batch_id + " is one of task " + there->task};
      }
      outcome.batch = *std::move(there);
      for (const auto& row : tx.exec_params(kReadSkipped, batch.batch_id)) {
        outcome.skipped[row[0].as<std::string>()] = row[1].as<std::uint32_t>();
      }
      return outcome;
    }

    const auto facts = FactsOf(tx, batch, min_confidence);
    if (!facts) return facts.error();
    Choice choice = ChooseItems(batch, *facts);
    if (!choice.items.empty()) {
      const std::uint32_t taken = InsertItems(tx, batch, choice, min_confidence);
      if (taken > 0) choice.skipped["queued"] += taken;
    }
    tx.exec_params(kSetSkipped, batch.batch_id, SkippedJson(choice.skipped));
    if (!tx.exec_params(kSettleBatch, batch.batch_id, now).empty()) {
      // Nothing to ask: nothing to wait for.
      postgres::ArrayLiteral done;
      done.AddText(std::string_view(batch.batch_id));
      tx.exec_params(kCancelItems, batch.batch_id);
      tx.exec_params(kCompleteBatches, done.text(), now);
    }
    auto stored = FindBatch(tx, batch.batch_id);
    if (!stored) return stored.error();
    outcome.batch = *std::move(stored);
    outcome.skipped = std::move(choice.skipped);
    return outcome;
  });
}

Result<Batch> PostgresQueueStore::Find(const std::string& batch_id) {
  return pool_.ReadOnly(
      [&](pqxx::transaction_base& tx) -> Result<Batch> { return FindBatch(tx, batch_id); });
}

Result<std::vector<Batch>> PostgresQueueStore::List(const std::string& task, std::uint64_t before,
                                                    std::size_t at_most) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<Batch>> {
    std::vector<Batch> batches;
    for (const auto& row :
         tx.exec_params(std::string(kBatchColumns) + kNewestFirst, task, before, at_most)) {
      auto batch = BatchOf(row);
      if (!batch) return batch.error();
      batches.push_back(*std::move(batch));
    }
    return batches;
  });
}

Result<Batch> PostgresQueueStore::Cancel(const std::string& batch_id, const std::string& reason,
                                         Timestamp now) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<Batch> {
    postgres::ArrayLiteral ids;
    ids.AddText(std::string_view(batch_id));
    const auto locked = tx.exec_params(kLockBatches, ids.text());
    if (locked.empty()) {
      return Error{ErrorCode::kNotFound, "no batch " + batch_id.substr(0, 128)};
    }
    const std::string state = locked[0][2].as<std::string>();
    const bool settled = locked[0][3].as<bool>();
    if (state == "open" && !settled) {
      tx.exec_params(kCancelBatch, batch_id, reason, now);
      tx.exec_params(kCancelItems, batch_id);
      // What was answered is worth its labels.
      const auto cancelled = FindBatch(tx, batch_id);
      if (cancelled && cancelled->votes > 0) tx.exec_params(kSetDue, cancelled->task, now);
    }
    return FindBatch(tx, batch_id);
  });
}

Result<std::vector<QueueItem>> PostgresQueueStore::Lease(const LeaseRequest& request) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<std::vector<QueueItem>> {
    constexpr int kMaxRounds = 5;  // Others may have taken what looked free a moment ago.
    std::vector<LeaseId> leases;
    for (int round = 0; round < kMaxRounds && leases.size() < request.count; ++round) {
      postgres::ArrayLiteral free;
      const auto candidates =
          tx.exec_params(std::string(kCandidates) + kLeasable + kMostUrgent, request.annotator,
                         request.now, request.task, request.count - leases.size());
      if (candidates.empty()) break;
      for (const auto& row : candidates) free.AddText(std::string_view(row[0].c_str()));
      for (const auto& row :
           tx.exec_params(std::string(kInsertLeases) + kLeasable + kReturning, request.annotator,
                          request.now, request.until, free.text())) {
        leases.push_back(row[0].as<LeaseId>());
      }
    }
    if (leases.empty()) return std::vector<QueueItem>();
    return ItemsOf(tx.exec_params(kLeasedItems, UuidArray(leases)));
  });
}

Result<std::map<LeaseId, LeaseFacts>> PostgresQueueStore::FindLeases(
    std::span<const LeaseId> leases) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::map<LeaseId, LeaseFacts>> {
    auto found = LeasesOf(tx.exec_params(kFindLeases, UuidArray(leases)));
    if (!found) return found.error();
    std::map<LeaseId, LeaseFacts> facts;
    for (auto& [id, lease] : *found) facts.emplace(id, std::move(lease.facts));
    return facts;
  });
}

Result<AnswerOutcome> PostgresQueueStore::Answer(const VotesUnderLease& votes) {
  std::vector<LeaseId> ids;
  for (const LeasedVote& vote : votes.votes) ids.push_back(vote.lease_id);
  const std::string leases_literal = UuidArray(ids);

  return pool_.InTransaction([&](pqxx::work& tx) -> Result<AnswerOutcome> {
    const std::vector<std::string> batches = LockBatchesOf(tx, leases_literal);
    auto leases = LeasesOf(tx.exec_params(std::string(kFindLeases) + kLocked, leases_literal));
    if (!leases) return leases.error();

    AnswerOutcome outcome;
    std::map<std::string, std::vector<std::size_t>> counting;  // Places by task.
    std::set<std::string> items;
    for (std::size_t place = 0; place < votes.votes.size(); ++place) {
      const LeasedVote& vote = votes.votes[place];
      const auto lease = leases->find(vote.lease_id);
      const VoteDecision decision =
          Decide(vote, votes.annotator, lease == leases->end() ? nullptr : &lease->second.facts);
      if (decision.kind == VoteDecision::Kind::kRejected) {
        outcome.rejected.emplace_back(place, decision.reason);
      } else if (decision.kind == VoteDecision::Kind::kUnchanged) {
        ++outcome.unchanged;
      } else if (!items.insert(lease->second.item_id).second) {
        outcome.rejected.emplace_back(
            place, "another lease on the same sample is answered in this request");
      } else {
        counting[lease->second.facts.task].push_back(place);
      }
    }

    postgres::TextArray ended, classes, counted;
    const auto count = [&](std::size_t place) {
      const LeasedVote& vote = votes.votes[place];
      ended.Add(vote.lease_id.text());
      classes.Add(vote.class_name);
      counted.Add(leases->at(vote.lease_id).item_id);
      ++outcome.accepted;
    };
    for (const auto& [task, places] : counting) {
      std::vector<ResolvedVote> saving;
      std::vector<std::size_t> saved_places;
      for (const std::size_t place : places) {
        const LeasedVote& vote = votes.votes[place];
        const LockedLease& lease = leases->at(vote.lease_id);
        if (lease.gold) {
          // The label is known: the answer is a mark for the annotator, no vote.
          tx.exec_params(kKnowAnnotator, task, votes.annotator,
                         Name(votes.kind.value_or(AnnotatorKind::kPerson)));
          count(place);
          continue;
        }
        saving.push_back({.vote = {.vote_id = VoteId(NewUuid()),
                                   .sample_id = lease.facts.sample_id,
                                   .class_name = vote.class_name,
                                   .annotator = votes.annotator,
                                   .annotator_kind = votes.kind.value_or(AnnotatorKind::kPerson),
                                   .source = "queue:" + lease.facts.batch_id,
                                   .voted_at = votes.now},
                          .kind_given = votes.kind.has_value()});
        saved_places.push_back(place);
      }
      if (saving.empty()) continue;
      const auto saved = SaveVotes(tx, task, saving);
      if (!saved) return saved.error();
      std::set<std::size_t> conflicting;
      for (const KindConflict& conflict : saved->conflicts) {
        conflicting.insert(conflict.place);
        outcome.rejected.emplace_back(saved_places[conflict.place],
                                      "annotator \"" + votes.annotator + "\" is known as " +
                                          std::string(Name(conflict.known)) + " in task " + task);
      }
      for (std::size_t i = 0; i < saved_places.size(); ++i) {
        if (!conflicting.contains(i)) count(saved_places[i]);
      }
    }
    if (outcome.accepted > 0) {
      tx.exec_params(kEndLeases, votes.now, ended.Parameter(), classes.Parameter());
      tx.exec_params(kCountVotes, counted.Parameter());
      for (const std::string& batch : batches) {
        outcome.settled |= SettleBatch(tx, batch, unjudged_, votes.now);
      }
    }
    std::sort(outcome.rejected.begin(), outcome.rejected.end());
    return outcome;
  });
}

Result<std::uint32_t> PostgresQueueStore::Release(const std::string& annotator,
                                                  std::span<const LeaseId> leases,
                                                  bool cannot_judge, Timestamp now) {
  const std::string literal = UuidArray(leases);
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<std::uint32_t> {
    const std::vector<std::string> batches = LockBatchesOf(tx, literal);
    const auto released =
        tx.exec_params(kRelease, literal, annotator, cannot_judge ? "declined" : "released", now)
            .affected_rows();
    for (const std::string& batch : batches) {
      if (cannot_judge) SettleBatch(tx, batch, unjudged_, now);
    }
    return static_cast<std::uint32_t>(released);
  });
}

Result<std::vector<QueueItem>> PostgresQueueStore::ListItems(const ItemFilter& filter,
                                                             std::uint64_t after,
                                                             std::size_t at_most, Timestamp now) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<QueueItem>> {
    const std::string state(filter.state ? Name(*filter.state) : std::string_view());
    return ItemsOf(
        tx.exec_params(kListItems, now, after, filter.task, filter.batch_id, state, at_most));
  });
}

Result<void> PostgresQueueStore::Settle(Timestamp now) {
  const auto given_up =
      pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<std::string>> {
        std::vector<std::string> batches;
        for (const auto& row : tx.exec(kGivenUp)) batches.push_back(row[0].as<std::string>());
        return batches;
      });
  if (!given_up) return given_up.error();
  for (const std::string& batch : *given_up) {
    const auto settled = pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
      postgres::ArrayLiteral ids;
      ids.AddText(std::string_view(batch));
      tx.exec_params(kLockBatches, ids.text());
      SettleBatch(tx, batch, unjudged_, now);
      return {};
    });
    if (!settled) return settled;
  }
  return {};
}

Result<std::uint32_t> PostgresQueueStore::ComputeDue(
    Timestamp now, const std::function<Result<void>(const std::string& task)>& compute) {
  const auto tasks =
      pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<std::string>> {
        std::vector<std::string> due;
        for (const auto& row : tx.exec_params(kDueTasks, now)) {
          due.push_back(row[0].as<std::string>());
        }
        return due;
      });
  if (!tasks) return tasks.error();
  std::uint32_t completed = 0;
  std::optional<Error> first;
  for (const std::string& task : *tasks) {
    const auto done = ComputeOne(task, now, compute, &completed);
    if (done) continue;
    if (!first) first = Prefixed("labels of task " + task + ": ", done.error());
    if (IsTransient(done.error().code)) continue;
    const auto later = pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
      tx.exec_params(kWorkLater, task, Timestamp(clock_.Now() + kTryAgainAfter));
      return {};
    });
    if (!later) return later.error();
  }
  if (first) return *first;
  return completed;
}

Result<bool> PostgresQueueStore::ComputeOne(
    const std::string& task, Timestamp now,
    const std::function<Result<void>(const std::string& task)>& compute, std::uint32_t* completed) {
  std::uint32_t batches = 0;
  // The transaction is the claim: it ends with this process, however that ends.
  const auto done = pool_.InTransaction([&](pqxx::work& tx) -> Result<bool> {
    batches = 0;
    if (!tx.exec_params1(kTryTask, task)[0].as<bool>()) return false;
    const auto due = tx.exec_params(kDueNumber, task, now);
    if (due.empty()) return false;
    postgres::ArrayLiteral settled;
    for (const auto& row : tx.exec_params(kSettledBatches, task)) {
      settled.AddText(std::string_view(row[0].c_str()));
      ++batches;
    }
    if (const auto computed = compute(task); !computed) {
      const bool no_votes = computed.error().code == ErrorCode::kFailedPrecondition &&
                            !tx.exec_params1(kHasVotes, task)[0].as<bool>();
      if (!no_votes) return computed.error();
    }
    tx.exec_params(kCompleteBatches, settled.text(), clock_.Now());
    tx.exec_params(kWorkDone, task, due[0][0].as<std::int64_t>());
    return true;
  });
  if (done && *done) *completed += batches;
  return done;
}

Result<OutcomeReport> PostgresQueueStore::TakeOutcomes(std::span<const Outcome> outcomes,
                                                       Timestamp now, Timestamp due) {
  // Each statement may touch a row once: of several of one kind the latest observed.
  using Key = std::tuple<std::string, std::uint32_t, std::string>;
  std::map<std::string, std::map<Key, const Outcome*>> by_task;
  for (const Outcome& outcome : outcomes) {
    const Outcome*& standing =
        by_task[outcome.task][{outcome.request_id, outcome.index, outcome.source}];
    if (standing == nullptr || std::tie(outcome.observed_at, outcome.class_name) >
                                   std::tie(standing->observed_at, standing->class_name)) {
      standing = &outcome;
    }
  }
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<OutcomeReport> {
    OutcomeReport report;
    // Outcomes and samples of a task take turns, so that neither misses the other.
    for (const auto& [task, of_task] : by_task) tx.exec_params(kLockOutcomes, task);
    for (const auto& [task, of_task] : by_task) {
      postgres::TextArray requests, sources, classes;
      postgres::IntegerArray indices;
      postgres::TimestampArray times;
      for (const auto& [key, outcome] : of_task) {
        requests.Add(outcome->request_id);
        indices.Add(static_cast<std::int32_t>(outcome->index));
        sources.Add(outcome->source);
        classes.Add(outcome->class_name);
        times.Add(outcome->observed_at);
      }
      tx.exec_params(kKeepOutcomes, task, now, requests.Parameter(), indices.Parameter(),
                     sources.Parameter(), classes.Parameter(), times.Parameter());
      const auto joined = VoteForJoined(tx, task, requests, indices, due);
      if (!joined) return joined.error();
      report.votes += joined->votes;
      const auto said = static_cast<std::uint32_t>(of_task.size());
      report.pending += said - std::min(said, joined->outcomes);
    }
    return report;
  });
}

Result<OutcomeReport> PostgresQueueStore::JoinOutcomes(std::span<const CapturedSample> samples,
                                                       Timestamp due) {
  std::map<std::string, std::vector<const CapturedSample*>> by_task;
  for (const CapturedSample& sample : samples) by_task[sample.task].push_back(&sample);
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<OutcomeReport> {
    OutcomeReport report;
    for (const auto& [task, of_task] : by_task) tx.exec_params(kLockOutcomes, task);
    for (const auto& [task, of_task] : by_task) {
      postgres::TextArray requests;
      postgres::IntegerArray indices;
      for (const CapturedSample* sample : of_task) {
        requests.Add(sample->request_id);
        indices.Add(static_cast<std::int32_t>(sample->index));
      }
      const auto joined = VoteForJoined(tx, task, requests, indices, due);
      if (!joined) return joined.error();
      report.votes += joined->votes;
    }
    return report;
  });
}

Result<std::uint64_t> PostgresQueueStore::DropOutcomes(Timestamp before) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<std::uint64_t> {
    return static_cast<std::uint64_t>(tx.exec_params(kDropOutcomes, before).affected_rows());
  });
}

}  // namespace tidewheel::labeling
