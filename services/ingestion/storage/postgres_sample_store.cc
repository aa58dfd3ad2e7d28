#include "tidewheel/ingestion/storage/postgres_sample_store.h"

#include <pqxx/pqxx>

#include <algorithm>
#include <bit>
#include <set>
#include <tuple>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/page_token.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/ingestion/storage/json_map.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/outbox.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::ingestion {
namespace {

constexpr char kFindSamples[] =
    "SELECT p.place, s.sample_id, s.name, s.split "
    "FROM unnest($2::bytea[]) WITH ORDINALITY AS p (sha256, place) "
    "JOIN samples s ON s.task = $1 AND s.sha256 = p.sha256";
constexpr char kFindQuarantined[] =
    "SELECT p.place, r.reason, r.message, r.sample_id "
    "FROM unnest($2::bytea[], $3::text[]) WITH ORDINALITY AS p (sha256, name, place) "
    "JOIN quarantine q ON q.task = $1 AND q.sha256 = p.sha256 AND q.name = p.name "
    "JOIN quarantine_reasons r USING (quarantine_id) ORDER BY p.place, r.place";
constexpr char kInsertSamples[] =
    "INSERT INTO samples (sample_id, task, sha256, payload_ref, name, source, group_key, split, "
    "collected_at, added_at, metadata, measures, hash_high, hash_low, width, height, size_bytes, "
    "content_type, request_id, request_index) SELECT id::uuid, $1, sha256, ref, name, source, "
    "group_key, split, collected_at, "
    "$2, "
    "metadata::jsonb, measures::jsonb, hash_high, hash_low, width, height, size_bytes, "
    "content_type, request_id, request_index "
    "FROM unnest($3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[], "
    "$9::text[], "
    "$10::timestamptz[], $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::integer[], "
    "$16::integer[], $17::bigint[], $18::text[], $19::text[], $20::integer[]) "
    "AS row (id, sha256, ref, name, source, group_key, "
    "split, collected_at, metadata, measures, hash_high, hash_low, width, height, size_bytes, "
    "content_type, request_id, request_index) ON CONFLICT DO NOTHING";
constexpr char kInsertQuarantined[] =
    "WITH added AS (INSERT INTO quarantine (quarantine_id, task, sha256, payload_ref, name, "
    "source, "
    "size_bytes, quarantined_at) SELECT id::uuid, $1, sha256, ref, name, source, size_bytes, $2 "
    "FROM unnest($3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::bigint[]) "
    "AS row (id, sha256, ref, name, source, size_bytes) ON CONFLICT DO NOTHING RETURNING "
    "quarantine_id) "
    "INSERT INTO quarantine_reasons (quarantine_id, place, reason, message, sample_id) "
    "SELECT added.quarantine_id, place, reason, message, nullif(sample_id, '')::uuid "
    "FROM unnest($9::text[], $10::integer[], $11::text[], $12::text[], $13::text[]) "
    "AS row (id, place, reason, message, sample_id) JOIN added ON added.quarantine_id = "
    "row.id::uuid RETURNING quarantine_id";
constexpr char kInsertRequests[] =
    "INSERT INTO captured_requests (task, request_id, request_index, sample_id, captured_at, "
    "captured_because, inclusion_probability) "
    "SELECT $1, request_id, request_index, sample_id::uuid, captured_at, because, probability "
    "FROM unnest($2::text[], $3::integer[], $4::text[], $5::timestamptz[], $6::text[], "
    "$7::float8[]) AS row (request_id, request_index, sample_id, captured_at, because, "
    "probability) ON CONFLICT DO NOTHING";

constexpr char kSampleColumns[] =
    "SELECT sample_id, task, sha256, payload_ref, name, source, group_key, split, collected_at, "
    "added_at, deactivated_at, metadata, measures, hash_high, hash_low, width, height, size_bytes, "
    "content_type, request_id, request_index FROM samples ";
constexpr char kDeactivate[] =
    "UPDATE samples SET deactivated_at = $2, deactivated_because = $3, "
    "deactivated_xid = pg_current_xact_id() "
    "WHERE sample_id = $1 AND deactivated_at IS NULL";
constexpr char kListQuarantine[] =
    "SELECT q.quarantine_id, q.task, q.sha256, q.payload_ref, q.name, q.source, q.size_bytes, "
    "q.quarantined_at FROM quarantine q WHERE q.task = $1 "
    "AND ($2 = '' OR EXISTS (SELECT 1 FROM quarantine_reasons r WHERE r.quarantine_id = "
    "q.quarantine_id AND r.reason = $2)) "
    "AND ($3 = '' OR q.quarantine_id > nullif($3, '')::uuid) ORDER BY q.quarantine_id LIMIT $4";
constexpr char kReasonsOf[] =
    "SELECT quarantine_id, reason, message, sample_id FROM quarantine_reasons "
    "WHERE quarantine_id = ANY ($1::uuid[]) ORDER BY quarantine_id, place";
constexpr char kCountSamples[] =
    "SELECT split, deactivated_at IS NULL AS active, count(*) FROM samples WHERE task = $1 "
    "GROUP BY 1, 2";
constexpr char kCountQuarantined[] = "SELECT count(*) FROM quarantine WHERE task = $1";
constexpr char kCountReasons[] =
    "SELECT r.reason, count(*) FROM quarantine_reasons r JOIN quarantine q USING (quarantine_id) "
    "WHERE q.task = $1 GROUP BY 1";

Sample SampleFrom(const pqxx::row& row) {
  Sample sample;
  sample.id = row["sample_id"].c_str();
  sample.task = row["task"].c_str();
  sample.sha256 = postgres::DigestOf(row["sha256"]);
  sample.payload_ref = row["payload_ref"].c_str();
  sample.name = row["name"].c_str();
  sample.source = row["source"].c_str();
  sample.group = row["group_key"].c_str();
  sample.split = SplitFrom(row["split"].c_str()).value_or(Split::kTraining);
  sample.collected_at = row["collected_at"].as<Timestamp>();
  sample.added_at = row["added_at"].as<Timestamp>();
  if (!row["deactivated_at"].is_null()) {
    sample.deactivated_at = row["deactivated_at"].as<Timestamp>();
  }
  sample.metadata = TextsFromJson(row["metadata"].c_str());
  sample.measures = NumbersFromJson(row["measures"].c_str());
  sample.hash = {std::bit_cast<std::uint64_t>(row["hash_high"].as<std::int64_t>()),
                 std::bit_cast<std::uint64_t>(row["hash_low"].as<std::int64_t>())};
  sample.width = row["width"].as<std::uint32_t>();
  sample.height = row["height"].as<std::uint32_t>();
  sample.size_bytes = row["size_bytes"].as<std::uint64_t>();
  sample.content_type = row["content_type"].c_str();
  if (!row["request_id"].is_null()) {
    sample.request = {row["request_id"].c_str(), row["request_index"].as<std::uint32_t>()};
  }
  return sample;
}

Reason ReasonFrom(const pqxx::row& row) {
  return {ReasonCodeFrom(row["reason"].c_str()).value_or(ReasonCode::kUndecodable),
          row["message"].c_str(), row["sample_id"].is_null() ? "" : row["sample_id"].c_str()};
}

void SetTime(Timestamp time, google::protobuf::Timestamp* proto) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  proto->set_seconds(seconds.time_since_epoch().count());
  proto->set_nanos(static_cast<std::int32_t>((time - seconds).count() * 1'000));
}

postgres::OutboxMessage Wrap(const events::v1::SampleEvent& event, const std::string& key,
                             const std::string& type) {
  postgres::OutboxMessage message;
  message.event_id = NewUuid();
  message.topic = "tidewheel.samples";
  message.key = key;
  message.type = type;
  message.payload = event.SerializeAsString();
  return message;
}

postgres::OutboxMessage EventOf(const Sample& sample, const std::string& type, Timestamp at) {
  events::v1::SampleEvent event;
  event.set_sample_id(sample.id);
  event.set_task(sample.task);
  event.set_sha256(sample.sha256.Hex());
  event.set_split(std::string(Name(sample.split)));
  event.set_source(sample.source);
  if (sample.request) {
    event.set_request_id(sample.request->request_id);
    event.set_request_index(sample.request->index);
  }
  SetTime(at, event.mutable_at());
  return Wrap(event, sample.id, type);
}

postgres::OutboxMessage EventOf(const QuarantinedSample& sample) {
  events::v1::SampleEvent event;
  event.set_task(sample.task);
  event.set_sha256(sample.sha256.Hex());
  event.set_source(sample.source);
  if (sample.request) {
    event.set_request_id(sample.request->request_id);
    event.set_request_index(sample.request->index);
  }
  for (const Reason& reason : sample.reasons) event.add_reasons(std::string(Name(reason.code)));
  SetTime(sample.collected_at, event.mutable_at());
  return Wrap(event, sample.id, "sample.quarantined");
}

/// Which sample stands for which captured payload; what was set aside for its quality has none.
void InsertRequests(pqxx::work& tx, const std::string& task, const BatchToStore& batch) {
  postgres::TextArray requests, samples, reasons;
  postgres::IntegerArray indices;
  postgres::TimestampArray times;
  postgres::DoubleArray probabilities;
  const auto add = [&](const CapturedRequest& request, const std::string& sample, Timestamp at) {
    requests.Add(request.request_id);
    indices.Add(static_cast<std::int32_t>(request.index));
    samples.Add(sample);
    times.Add(at);
    reasons.Add(request.because);
    const double probability = request.inclusion_probability;
    probabilities.Add(probability > 0 && probability <= 1 ? probability : 0);
  };
  for (const auto& sample : batch.samples) {
    if (sample.request) add(*sample.request, sample.id, sample.collected_at);
  }
  for (const auto& sample : batch.quarantined) {
    const std::string twin = sample.TwinId();
    if (sample.request && !twin.empty()) add(*sample.request, twin, sample.collected_at);
  }
  if (requests.size() == 0) return;
  tx.exec_params0(kInsertRequests, task, requests.Parameter(), indices.Parameter(),
                  samples.Parameter(), times.Parameter(), reasons.Parameter(),
                  probabilities.Parameter());
}

/// How many of the rows are new.
std::size_t InsertSamples(pqxx::work& tx, const std::vector<Sample>& samples) {
  postgres::TextArray ids, refs, names, sources, groups, splits, metadata, measures, types;
  postgres::TextArray requests;
  postgres::IntegerArray request_indices;
  postgres::ByteaArray digests;
  postgres::TimestampArray collected;
  postgres::BigintArray high, low, sizes;
  postgres::IntegerArray widths, heights;
  // In the order of content: two writers of the same rows then wait instead of deadlocking.
  std::vector<const Sample*> order;
  for (const auto& sample : samples) order.push_back(&sample);
  std::sort(order.begin(), order.end(),
            [](const Sample* a, const Sample* b) { return a->sha256 < b->sha256; });
  for (const Sample* sample : order) {
    ids.Add(sample->id);
    digests.Add(postgres::BytesView(sample->sha256));
    refs.Add(sample->payload_ref);
    names.Add(sample->name);
    sources.Add(sample->source);
    groups.Add(sample->group);
    splits.Add(Name(sample->split));
    collected.Add(sample->collected_at);
    metadata.Add(ToJson(sample->metadata));
    measures.Add(ToJson(sample->measures));
    high.Add(std::bit_cast<std::int64_t>(sample->hash[0]));
    low.Add(std::bit_cast<std::int64_t>(sample->hash[1]));
    widths.Add(static_cast<std::int32_t>(sample->width));
    heights.Add(static_cast<std::int32_t>(sample->height));
    sizes.Add(static_cast<std::int64_t>(sample->size_bytes));
    types.Add(sample->content_type);
    if (sample->request) {
      requests.Add(sample->request->request_id);
      request_indices.Add(static_cast<std::int32_t>(sample->request->index));
    } else {
      requests.AddNull();
      request_indices.AddNull();
    }
  }
  const auto inserted = tx.exec_params(
      kInsertSamples, samples.front().task, samples.front().added_at, ids.Parameter(),
      digests.Parameter(), refs.Parameter(), names.Parameter(), sources.Parameter(),
      groups.Parameter(), splits.Parameter(), collected.Parameter(), metadata.Parameter(),
      measures.Parameter(), high.Parameter(), low.Parameter(), widths.Parameter(),
      heights.Parameter(), sizes.Parameter(), types.Parameter(), requests.Parameter(),
      request_indices.Parameter());
  return static_cast<std::size_t>(inserted.affected_rows());
}

/// The ids of those that are new.
std::set<std::string> InsertQuarantined(pqxx::work& tx,
                                        const std::vector<QuarantinedSample>& quarantined) {
  postgres::TextArray ids, refs, names, sources, reason_ids, codes, messages, sample_ids;
  postgres::ByteaArray digests;
  postgres::BigintArray sizes;
  postgres::IntegerArray places;
  std::vector<const QuarantinedSample*> order;
  for (const auto& sample : quarantined) order.push_back(&sample);
  std::sort(order.begin(), order.end(), [](const QuarantinedSample* a, const QuarantinedSample* b) {
    return std::tie(a->sha256, a->name) < std::tie(b->sha256, b->name);
  });
  for (const QuarantinedSample* sample : order) {
    ids.Add(sample->id);
    digests.Add(postgres::BytesView(sample->sha256));
    refs.Add(sample->payload_ref);
    names.Add(sample->name);
    sources.Add(sample->source);
    sizes.Add(static_cast<std::int64_t>(sample->size_bytes));
    std::int32_t place = 0;
    for (const auto& reason : sample->reasons) {
      reason_ids.Add(sample->id);
      places.Add(place++);
      codes.Add(Name(reason.code));
      messages.Add(reason.message);
      sample_ids.Add(reason.sample_id);
    }
  }
  std::set<std::string> added;
  for (const auto& row : tx.exec_params(
           kInsertQuarantined, quarantined.front().task, quarantined.front().quarantined_at,
           ids.Parameter(), digests.Parameter(), refs.Parameter(), names.Parameter(),
           sources.Parameter(), sizes.Parameter(), reason_ids.Parameter(), places.Parameter(),
           codes.Parameter(), messages.Parameter(), sample_ids.Parameter())) {
    added.insert(row[0].c_str());
  }
  return added;
}

}  // namespace

Result<KnownPushes> PostgresSampleStore::FindKnown(const std::string& task,
                                                   std::span<const PushedName> names) {
  postgres::ByteaArray digests;
  postgres::TextArray texts;
  for (const auto& pushed : names) {
    digests.Add(postgres::BytesView(pushed.sha256));
    texts.Add(pushed.name);
  }
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<KnownPushes> {
    KnownPushes known;
    known.samples.resize(names.size());
    known.quarantined.resize(names.size());
    for (const auto& row : tx.exec_params(kFindSamples, task, digests.Parameter())) {
      known.samples[row["place"].as<std::size_t>() - 1] =
          KnownSample{row["sample_id"].c_str(), row["name"].c_str(),
                      SplitFrom(row["split"].c_str()).value_or(Split::kTraining)};
    }
    for (const auto& row :
         tx.exec_params(kFindQuarantined, task, digests.Parameter(), texts.Parameter())) {
      auto& reasons = known.quarantined[row["place"].as<std::size_t>() - 1];
      if (!reasons) reasons.emplace();
      reasons->push_back(ReasonFrom(row));
    }
    return known;
  });
}

Result<bool> PostgresSampleStore::Save(const BatchToStore& batch) {
  const Error taken{ErrorCode::kAlreadyExists, "some of these bytes were stored meanwhile"};
  const auto saved = pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
    std::vector<postgres::OutboxMessage> events;
    if (!batch.samples.empty()) {
      if (InsertSamples(tx, batch.samples) != batch.samples.size()) return taken;
      for (const auto& sample : batch.samples) {
        events.push_back(EventOf(sample, "sample.accepted", sample.collected_at));
      }
      InsertRequests(tx, batch.samples.front().task, batch);
    }
    if (!batch.quarantined.empty()) {
      const auto added = InsertQuarantined(tx, batch.quarantined);
      for (const auto& sample : batch.quarantined) {
        if (added.contains(sample.id)) events.push_back(EventOf(sample));
      }
      if (batch.samples.empty()) InsertRequests(tx, batch.quarantined.front().task, batch);
    }
    if (events.empty()) return {};
    return postgres::Outbox("ingestion").Enqueue(tx, events);
  });
  if (saved) return true;
  if (saved.error() == taken) return false;
  return saved.error();
}

Result<std::optional<Sample>> PostgresSampleStore::Find(const std::string& id) {
  if (!IsUuid(id)) return std::optional<Sample>();
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::optional<Sample>> {
    const auto rows = tx.exec_params(std::string(kSampleColumns) + "WHERE sample_id = $1", id);
    if (rows.empty()) return std::optional<Sample>();
    return std::optional<Sample>(SampleFrom(rows[0]));
  });
}

Result<Page<Sample>> PostgresSampleStore::List(const SampleFilter& filter,
                                               const PageRequest& request) {
  const std::string split(filter.split ? Name(*filter.split) : std::string_view());
  const std::string query = "samples/" + filter.task + "/" + split + "/" + filter.source + "/" +
                            filter.name + "/" + filter.request_id +
                            (filter.include_deactivated ? "/all" : "/active");
  const auto after = DecodePageToken(query, request.token, 1);
  if (!after) return after.error();
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Page<Sample>> {
    const auto rows = tx.exec_params(
        std::string(kSampleColumns) +
            "WHERE task = $1 AND ($2 = '' OR split = $2) AND ($3 = '' OR source = $3) "
            "AND ($4 = '' OR name = $4) AND ($5 OR deactivated_at IS NULL) "
            "AND ($6 = '' OR sample_id > nullif($6, '')::uuid) "
            "AND ($8 = '' OR sample_id IN (SELECT c.sample_id FROM captured_requests c "
            "WHERE c.task = $1 AND c.request_id = $8)) ORDER BY sample_id LIMIT $7",
        filter.task, split, filter.source, filter.name, filter.include_deactivated,
        after->empty() ? std::string() : (*after)[0], request.size + 1, filter.request_id);
    Page<Sample> page;
    for (const auto& row : rows) {
      if (page.items.size() == request.size) {
        page.next_token = EncodePageToken(query, {page.items.back().id});
        break;
      }
      page.items.push_back(SampleFrom(row));
    }
    return page;
  });
}

Result<Sample> PostgresSampleStore::Deactivate(const std::string& id, const std::string& reason,
                                               Timestamp now) {
  const Error unknown{ErrorCode::kNotFound, "no sample " + id.substr(0, 80)};
  if (!IsUuid(id)) return unknown;
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<Sample> {
    const bool changed = tx.exec_params0(kDeactivate, id, now, reason).affected_rows() > 0;
    const auto rows = tx.exec_params(std::string(kSampleColumns) + "WHERE sample_id = $1", id);
    if (rows.empty()) return unknown;
    const Sample sample = SampleFrom(rows[0]);
    if (changed) {
      const auto queued =
          postgres::Outbox("ingestion").Enqueue(tx, EventOf(sample, "sample.deactivated", now));
      if (!queued) return queued.error();
    }
    return sample;
  });
}

Result<Page<QuarantinedSample>> PostgresSampleStore::ListQuarantine(
    const std::string& task, std::optional<ReasonCode> reason, const PageRequest& request) {
  const std::string word(reason ? Name(*reason) : std::string_view());
  const std::string query = "quarantine/" + task + "/" + word;
  const auto after = DecodePageToken(query, request.token, 1);
  if (!after) return after.error();
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Page<QuarantinedSample>> {
    Page<QuarantinedSample> page;
    std::map<std::string, std::size_t> places;
    postgres::ArrayLiteral ids;
    for (const auto& row :
         tx.exec_params(kListQuarantine, task, word, after->empty() ? std::string() : (*after)[0],
                        request.size + 1)) {
      if (page.items.size() == request.size) {
        page.next_token = EncodePageToken(query, {page.items.back().id});
        break;
      }
      QuarantinedSample sample;
      sample.id = row["quarantine_id"].c_str();
      sample.task = row["task"].c_str();
      sample.sha256 = postgres::DigestOf(row["sha256"]);
      sample.payload_ref = row["payload_ref"].c_str();
      sample.name = row["name"].c_str();
      sample.source = row["source"].c_str();
      sample.size_bytes = row["size_bytes"].as<std::uint64_t>();
      sample.quarantined_at = row["quarantined_at"].as<Timestamp>();
      ids.AddText(std::string_view(sample.id));
      places.emplace(sample.id, page.items.size());
      page.items.push_back(std::move(sample));
    }
    for (const auto& row : tx.exec_params(kReasonsOf, ids.text())) {
      page.items[places.at(row["quarantine_id"].c_str())].reasons.push_back(ReasonFrom(row));
    }
    return page;
  });
}

Result<SampleCounts> PostgresSampleStore::Count(const std::string& task) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<SampleCounts> {
    SampleCounts counts;
    for (const auto& row : tx.exec_params(kCountSamples, task)) {
      const auto count = row["count"].as<std::uint64_t>();
      if (row["active"].as<bool>()) {
        counts.active += count;
        counts.by_split[row["split"].c_str()] += count;
      } else {
        counts.deactivated += count;
      }
    }
    counts.quarantined = tx.exec_params1(kCountQuarantined, task)[0].as<std::uint64_t>();
    for (const auto& row : tx.exec_params(kCountReasons, task)) {
      counts.quarantined_by_reason[row["reason"].c_str()] = row["count"].as<std::uint64_t>();
    }
    return counts;
  });
}

}  // namespace tidewheel::ingestion
